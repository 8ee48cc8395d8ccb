// Questions to the worker, which runs this very script; without workers the page answers them itself.

import { answer } from "./worker.js";

/** A connection for one file: `ask(question, given, onProgress)` gives a promise, `end()` stops all work. */
export function connect() {
  const waiting = new Map();
  let count = 0;
  let worker;
  const started = new Promise((ready) => {
    try {
      worker = new Worker(self.ddsetScript); // see unpack.js
      worker.onmessage = ({ data }) => (data.ready ? ready(true) : settle(data));
      worker.onerror = (event) => (event.preventDefault(), ready(false), settleAll());
    } catch {
      ready(false);
    }
  });

  function settle({ id, value, problem, progress }) {
    const one = waiting.get(id);
    if (progress !== undefined) return one?.onProgress(progress);
    waiting.delete(id);
    if (problem) one?.reject(Object.assign(new Error(problem.message), problem));
    else one?.resolve(value);
  }

  /** A worker that ends by itself ran out of memory. */
  function settleAll() {
    for (const id of [...waiting.keys()]) settle({ id, problem: { code: "memory", message: "the worker stopped" } });
  }

  return {
    async ask(question, given, onProgress = () => {}) {
      if (!(await started)) return answer(question, given, (done, total) => onProgress(done / total));
      const id = count++;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, onProgress });
        worker.postMessage({ id, question, given });
      });
    },
    end: () => worker?.terminate(),
  };
}
