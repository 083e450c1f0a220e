/** A client whose every request and answer goes into the history that is checked in the end. */
import type {
  Condition,
  HistoryRecorder,
  Input,
  ObservedRecord,
  Output,
} from "../linearizability/index.ts";
import type { LabClient, PutAnswer } from "./world.ts";

export class RecordedClient implements LabClient {
  readonly #client: LabClient;
  readonly #history: HistoryRecorder;
  readonly #onAnswer: () => void;
  readonly #name: string;

  constructor(name: string, client: LabClient, history: HistoryRecorder, onAnswer: () => void) {
    this.#name = name;
    this.#client = client;
    this.#history = history;
    this.#onAnswer = onAnswer;
  }

  async get(key: string): Promise<ObservedRecord | null> {
    const call = this.#history.call(this.#name, { kind: "get", key });
    const record = await this.#client.get(key);
    call.ok({ kind: "record", record });
    this.#onAnswer();
    return record;
  }

  async put(key: string, value: string, condition?: Condition): Promise<PutAnswer> {
    const call = this.#history.call(this.#name, putInput(key, value, condition));
    const answer = await this.#client.put(key, value, condition);
    call.ok(outputOf(answer));
    this.#onAnswer();
    return answer;
  }

  async putOnce(key: string, value: string, condition?: Condition): Promise<PutAnswer | "unknown"> {
    const call = this.#history.call(this.#name, putInput(key, value, condition));
    const answer = await this.#client.putOnce(key, value, condition);
    if (answer === "unknown") call.unknown();
    else call.ok(outputOf(answer));
    this.#onAnswer();
    return answer;
  }
}

function putInput(key: string, value: string, condition: Condition | undefined): Input {
  return condition === undefined
    ? { kind: "put", key, value }
    : { kind: "put", key, value, condition };
}

function outputOf(answer: PutAnswer): Output {
  if (answer.kind === "condition-failed") return answer;
  const { kind, revision, version } = answer;
  return { kind, revision, version };
}
