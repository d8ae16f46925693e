/* How fast llama.cpp reads a prompt and goes on with it, through node-llama-cpp's prebuilt binary.

     npm i node-llama-cpp            in the folder you run from, or in one given by NODE_LLAMA_CPP (the folder that holds node_modules)
     node llama_cpp_rate.mjs MODEL.gguf THREADS PROMPT_TOKENS NEW_TOKENS RUNS

   Prints {"prompt_tokens_per_second", "tokens_per_second", "tool"}: the best of the runs after one that warms up; {} where no file is named
   and llama.cpp is there. The prompt is one batch; the first new token is left out of the clock, since it ends the prompt. Weights are
   mapped, keys and values F16, as llama.cpp does. */
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [file, threads, promptTokens, newTokens, runs] = process.argv.slice(2).map((word, place) => (place ? +word : word));
// an ES module does not look into the folder it is run from, so find the package there by hand
const find = createRequire(path.join(path.resolve(process.env.NODE_LLAMA_CPP ?? "."), "x.js"));
let found;
try { found = find.resolve("node-llama-cpp"); } catch { console.error("node-llama-cpp is not installed; npm i node-llama-cpp, or say where it is with NODE_LLAMA_CPP"); process.exit(3); }
if (!file) { console.log("{}"); process.exit(0); }
const { getLlama } = await import(pathToFileURL(found));
const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, progressLogs: false, logLevel: "error" });
const model = await llama.loadModel({ modelPath: path.resolve(file), gpuLayers: 0 });
const context = await model.createContext({ contextSize: promptTokens + newTokens + 64, batchSize: promptTokens, threads: { ideal: threads, min: threads } });
const sequence = context.getSequence();
const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
const prompt = Array.from({ length: promptTokens }, (_, place) => 3 + (place * 7919) % (vocabulary - 3));
const now = () => Number(process.hrtime.bigint()) / 1e9;

let [prompts, tokens] = [0, 0];
for (let run = 0; run <= runs; run++) {
  await sequence.clearHistory();
  const start = now();
  await sequence.evaluateWithoutGeneratingNewTokens(prompt);
  const read = now() - start;
  let [first, count] = [0, 0];
  for await (const _ of sequence.evaluate([prompt[0]], { temperature: 0, yieldEogToken: true })) {
    if (count === 0) first = now();
    if (count++ === newTokens) break;
  }
  const written = now() - first;
  if (run > 0) [prompts, tokens] = [Math.max(prompts, promptTokens / read), Math.max(tokens, newTokens / written)];
}
console.log(JSON.stringify({ prompt_tokens_per_second: prompts, tokens_per_second: tokens, tool: "llama.cpp " + llama.llamaCppRelease.release }));
process.exit(0);
