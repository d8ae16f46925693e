/* Continues prompts with llama.cpp, through node-llama-cpp's prebuilt binary, taking the likeliest token each time.

     npm i node-llama-cpp            in the folder you run from, or in one given by NODE_LLAMA_CPP (the folder that holds node_modules)
     node llama_cpp_greedy.mjs cases.jsonl

   Each line of the file is {"model": "path.gguf", "prompt": [ids], "count": 32, "texts": ["…"]}; each line of the output is
   {"model": "path.gguf", "tokens": [ids], "texts": [[ids]], "tool": "llama.cpp …"}, or has "error" where llama.cpp refuses the file.
   Texts are cut into tokens without anything special in them or around them. */
import path from "node:path";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// an ES module does not look into the folder it is run from, so find the package there by hand
const find = createRequire(path.join(path.resolve(process.env.NODE_LLAMA_CPP ?? "."), "x.js"));
let found;
try { found = find.resolve("node-llama-cpp"); } catch { console.error("node-llama-cpp is not installed; npm i node-llama-cpp, or say where it is with NODE_LLAMA_CPP"); process.exit(3); }
const { getLlama } = await import(pathToFileURL(found));
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 2, progressLogs: false, logLevel: "error" });
const tool = "llama.cpp " + llama.llamaCppRelease.release;

async function run({ model: file, prompt, count, texts }) {
  const model = await llama.loadModel({ modelPath: path.resolve(file), gpuLayers: 0 });
  try {
    const context = await model.createContext({ contextSize: 256, batchSize: 256, flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" });
    const tokens = [];
    for await (const token of context.getSequence().evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      tokens.push(token);
      if (tokens.length === count) break;
    }
    await context.dispose();
    return { tokens, texts: (texts ?? []).map(text => model.tokenize(text, false)) };
  } finally {
    await model.dispose();
  }
}

for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  if (!line.trim()) continue;
  const wanted = JSON.parse(line);
  let result;
  try { result = await run(wanted); } catch (error) { result = { error: String(error.message ?? error) }; }
  console.log(JSON.stringify({ model: wanted.model, ...result, tool }));
}
await llama.dispose();
process.exit(0);
