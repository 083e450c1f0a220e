import { SeededRandom } from "../../raft/index.ts";
import { randomHistory, RANDOM_HISTORY_DEFAULTS } from "./random-history.ts";
import { checkHistory } from "./check-history.ts";
import { describeVerdict } from "./report.ts";
const run=(name:string,o:object,seeds:number)=>{
  let worst=0, steps=0; const t=performance.now(); let bad=0;
  for(let s=1;s<=seeds;s++){ const h=randomHistory(new SeededRandom(s),{...RANDOM_HISTORY_DEFAULTS,...o});
   const t0=performance.now(); const v=checkHistory(h); worst=Math.max(worst,performance.now()-t0); steps=Math.max(steps,v.steps);
   if(v.kind!=="linearizable"){ if(bad++<2) console.log(name,s,describeVerdict(v).slice(0,3000)); } }
  console.log(name,seeds,"bad",bad,"worst ms",worst.toFixed(0),"max steps",steps,"total s",((performance.now()-t)/1000).toFixed(2));
};
run("txn register",{txnPercent:20,listPercent:5,hasVersions:false,unknownPercent:0},50);
run("unknown20",{unknownPercent:20},100);
run("register unknown20",{unknownPercent:20,hasVersions:false},100);
run("100k",{operations:100000,clients:10,keys:100,unknownPercent:0},1);
run("100k unknown 1%",{operations:100000,clients:10,keys:100,unknownPercent:1},1);
run("20k one key",{operations:20000,clients:10,keys:1,unknownPercent:0},1);
run("20k one key u1",{operations:20000,clients:10,keys:1,unknownPercent:1},1);
run("20k lists",{operations:20000,clients:10,keys:100,unknownPercent:1,listPercent:1},1);
