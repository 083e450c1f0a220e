/** A node whose supervisor is gone before it asks for it: exits 7 when it notices, else 0. */
import { whenSupervisorIsGone } from "../lifeline.ts";

process.once("disconnect", () => whenSupervisorIsGone(() => process.exit(7)));
process.send?.("listening");
