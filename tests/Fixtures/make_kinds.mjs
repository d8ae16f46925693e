// Makes tests/Tessera.Text.Tests/Fixtures/kinds: small tokenizers of the kinds that published families have, with what Hugging Face's
// library gives for texts, and the pieces that regular expressions cut.
//
//     npm install tokenizers@0.23.2 && node make_kinds.mjs ../Tessera.Text.Tests/Fixtures/kinds
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const { Tokenizer } = createRequire(path.join(process.cwd(), "x"))("tokenizers");
const out = process.argv[2];

// --- texts ---------------------------------------------------------------------------------------------------------------------------
const corpus = [
    "The quick brown fox jumps over the lazy dog; it's 12345 o'clock and we're done, aren't we?",
    "Les élèves ont étudié la leçon à l'école. Größe, Straße, naïve façade. ПРИВЕТ мир, как дела?",
    "def main(argument):\n    return argument ** 2  # comment\n\n\nif x == 10:\r\n\tprint('hello')",
    "你好，世界。今天天气很好。한국어 텍스트입니다. こんにちは、カタカナ。 العربية עברית हिन्दी",
    "HTTPServerError camelCaseWord snake_case_word XMLHttpRequest iPhone 3.14159 1,000,000 ½ ² Ⅷ",
];
const texts = [
    "",
    " ",
    "a",
    "Hello world",
    "  leading and  double   blanks ",
    ...corpus,
    "it's IT'S It'S we'LL WE'll 'ſ don't",
    "tabs\tand\r\nlines\n\n\nmore \n x",
    "e\u0301 \u00e9 \ufb01 \u2126 K \u0130",
    "𝕳ello 𠀀𠀁 😀👍🏽 𝟙𝟚 𐐨𐐀",
    "a<|end|>b <|end|>  c\n<|im_start|>user\nhi<|im_end|>",
    "<s>x</s> <bos>y<eos>",
    "!?$%&()*+,-./:;<=>@[\\]^_`{|}~",
    "\u00a0\u2003\u3000x\u200b\u200d\u0085",
    "a\u0000b\ufffd",
    "the thethe unknownword the",
    "１２３ ٣٤٥ 12ab34",
    "ǅungla ŒUVRE ĲSSEL ﬀ",
    "ａＢ_c d__e",
];

// --- byte-pair encoding, learned plainly -------------------------------------------------------------------------------------------------
const bytes = (() => {
    const map = {};
    let next = 256;
    for (let b = 0; b < 256; b++) map[b] = String.fromCodePoint((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++);
    return map;
})();
const byteLevel = (word) => [...Buffer.from(word, "utf8")].map((b) => bytes[b]);

function pieces(parts, text) {
    // as the library cuts them: every piece is one unknown word
    const tokenizer = Tokenizer.fromString(
        JSON.stringify({
            version: "1.0",
            truncation: null,
            padding: null,
            added_tokens: [],
            post_processor: null,
            decoder: null,
            normalizer: parts.normalizer ?? null,
            pre_tokenizer: parts.pre_tokenizer ?? null,
            model: { type: "WordLevel", vocab: { "<unk>": 0 }, unk_token: "<unk>" },
        }),
    );
    return tokenizer;
}

function learn(words, start, count, prefix = "") {
    const vocab = [...new Set(start)],
        merges = [];
    for (let round = 0; round < count; round++) {
        const pairs = new Map();
        for (const word of words)
            for (let i = 0; i + 1 < word.length; i++) {
                const pair = word[i] + "\u0001" + word[i + 1];
                pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
            }
        const best = [...pairs].filter(([, n]) => n > 1).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0];
        if (!best) break;
        const [left, right] = best[0].split("\u0001"),
            joined = left + right.slice(prefix.length);
        merges.push([left, right]);
        if (!vocab.includes(joined)) vocab.push(joined);
        words = words.map((word) => {
            const next = [];
            for (let i = 0; i < word.length; i++)
                if (word[i] === left && word[i + 1] === right) {
                    next.push(joined);
                    i++;
                } else next.push(word[i]);
            return next;
        });
    }
    return { vocab, merges };
}

const rough = corpus.flatMap((text) => text.match(/ ?[\p{L}]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+/gu));
const numbered = (tokens) => Object.fromEntries(tokens.map((token, id) => [token, id]));

function byteLevelModel(first = [], count = 160, extra = {}) {
    const { vocab, merges } = learn(rough.map(byteLevel), [...first, ...Object.values(bytes)], count);
    return {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        ...extra,
        vocab: numbered(vocab),
        merges,
    };
}
function sentencePieceModel(first, blank = "▁", count = 140) {
    const hex = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
    const words = rough.map((word) => [...word.replaceAll(" ", blank)]);
    const { vocab, merges } = learn(words, [...first, ...hex, ...new Set(words.flat())], count);
    return {
        type: "BPE",
        dropout: null,
        unk_token: "<unk>",
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: true,
        ignore_merges: false,
        vocab: numbered(vocab),
        merges,
    };
}

// --- parts -------------------------------------------------------------------------------------------------------------------------------
const split = (pattern, behavior = "Isolated", invert = false) => ({ type: "Split", pattern, behavior, invert });
const regex = (text) => ({ Regex: text });
const byteCut = (use_regex, add_prefix_space = false) => ({ type: "ByteLevel", add_prefix_space, trim_offsets: true, use_regex });
const inOrder = (...pretokenizers) => ({ type: "Sequence", pretokenizers });
const byteDecoder = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
const token = (id, content, options = {}) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
    ...options,
});
const template = (...before) => ({
    type: "TemplateProcessing",
    single: [...before.map(([name]) => ({ SpecialToken: { id: name, type_id: 0 } })), { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: Object.fromEntries(before.map(([name, id]) => [name, { id: name, ids: [id], tokens: [name] }])),
});
const replaceBlank = { type: "Replace", pattern: { String: " " }, content: "▁" };
const fallbackDecoder = (...after) => ({
    type: "Sequence",
    decoders: [{ type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "ByteFallback" }, { type: "Fuse" }, ...after],
});

const cl100k =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const possessive =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
const o200k = [
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "\\p{N}{1,3}",
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*",
    "\\s*[\\r\\n]+",
    "\\s+(?!\\S)",
    "\\s+",
].join("|");
const han = [
    "[\\p{Han}]+",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "\\p{N}{1,3}",
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*",
    "\\s*[\\r\\n]+",
    "\\s+(?!\\S)",
    "\\s+",
].join("|");
const tekken =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

function suffixModel(isByteLevel) {
    const words = rough
        .map((word) => word.trim().toLowerCase())
        .filter((word) => word.length > 0)
        .map((word) => {
            const symbols = isByteLevel ? byteLevel(word) : [...word];
            symbols[symbols.length - 1] += "</w>";
            return symbols;
        });
    const alphabet = isByteLevel
        ? Object.values(bytes)
        : [...new Set(words.flatMap((word) => word.map((symbol) => symbol.replace("</w>", ""))))];
    const { vocab, merges } = learn(
        words,
        [...(isByteLevel ? [] : ["<unk>"]), ...alphabet, ...alphabet.map((symbol) => symbol + "</w>")],
        120,
    );
    return {
        type: "BPE",
        dropout: null,
        unk_token: isByteLevel ? null : "<unk>",
        continuing_subword_prefix: isByteLevel ? "" : null,
        end_of_word_suffix: "</w>",
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: numbered(vocab),
        merges,
    };
}
function prefixModel() {
    const words = rough
        .map((word) => [...word.trim()])
        .filter((word) => word.length > 0)
        .map((word) => word.map((symbol, i) => (i === 0 ? symbol : "##" + symbol)));
    const { vocab, merges } = learn(words, ["[UNK]", ...new Set(words.flat())], 120, "##");
    return {
        type: "BPE",
        dropout: null,
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: false,
        ignore_merges: false,
        vocab: numbered(vocab),
        merges,
    };
}

const after = (model, ...contents) =>
    contents.map((content, i) =>
        Array.isArray(content)
            ? token(Object.keys(model.vocab).length + i, content[0], content[1])
            : token(Object.keys(model.vocab).length + i, content),
    );
const idOf = (added, name) => added.find((each) => each.content === name).id;

function kinds() {
    const all = {};
    const bpe = byteLevelModel();
    const whole = byteLevelModel([], 160, { ignore_merges: true });
    let added = after(bpe, "<|startoftext|>", "<|endoftext|>", "<|return|>", "<|start|>", "<|end|>", "<|im_start|>");
    all["gpt-oss"] = {
        added_tokens: added,
        pre_tokenizer: inOrder(split(regex(o200k)), byteCut(false)),
        post_processor: { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
        decoder: byteDecoder,
        model: whole,
    };
    all["kimi"] = { added_tokens: added, pre_tokenizer: inOrder(split(regex(han)), byteCut(false)), decoder: byteDecoder, model: bpe };
    all["tekken"] = {
        added_tokens: added,
        pre_tokenizer: inOrder(split(regex(tekken)), byteCut(false)),
        decoder: byteDecoder,
        model: whole,
    };
    all["olmo2"] = {
        added_tokens: added,
        pre_tokenizer: inOrder(split(regex(possessive), "Removed", true), byteCut(false)),
        decoder: byteDecoder,
        model: bpe,
    };
    added = after(bpe, "<|endoftext|>", ["  ", { normalized: true, special: false }], ["|||EMAIL|||", { special: false }]);
    all["gpt-neox"] = {
        added_tokens: added,
        normalizer: { type: "NFC" },
        pre_tokenizer: byteCut(true),
        post_processor: template(["<|endoftext|>", idOf(added, "<|endoftext|>")]),
        decoder: byteDecoder,
        model: bpe,
    };
    added = after(bpe, "<|endoftext|>", "<fim_prefix>", "<|im_start|>", "<|im_end|>");
    all["starcoder2"] = {
        added_tokens: added,
        pre_tokenizer: inOrder({ type: "Digits", individual_digits: true }, byteCut(true)),
        decoder: byteDecoder,
        model: bpe,
    };
    added = after(bpe, "<PAD>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>");
    all["cohere"] = {
        added_tokens: added,
        normalizer: { type: "NFC" },
        pre_tokenizer: inOrder({ type: "Digits", individual_digits: true }, byteCut(true)),
        post_processor: template(["<BOS_TOKEN>", idOf(added, "<BOS_TOKEN>")]),
        decoder: byteDecoder,
        model: bpe,
    };
    added = after(bpe, "<|endoftext|>", "[gMASK]", "<sop>", "<|user|>");
    all["glm-4"] = {
        added_tokens: added,
        pre_tokenizer: inOrder(split(regex(cl100k)), byteCut(false)),
        post_processor: {
            type: "Sequence",
            processors: [
                { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
                template(["[gMASK]", idOf(added, "[gMASK]")], ["<sop>", idOf(added, "<sop>")]),
            ],
        },
        decoder: byteDecoder,
        model: whole,
    };
    added = after(bpe, "<|begin_of_text|>", "<|end_of_text|>", ["<think>", { special: false }]);
    all["smollm3"] = {
        added_tokens: added,
        pre_tokenizer: inOrder(split(regex(cl100k)), byteCut(false)),
        post_processor: template(["<|begin_of_text|>", idOf(added, "<|begin_of_text|>")]),
        decoder: byteDecoder,
        model: whole,
    };
    const first = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<unused0>", "\n", "\n\n", "▁▁"];
    added = first.map((content, id) => token(id, content, { special: id < 6 }));
    const spm = sentencePieceModel(first);
    all["gemma"] = {
        added_tokens: added,
        normalizer: replaceBlank,
        pre_tokenizer: split({ String: " " }, "MergedWithPrevious"),
        post_processor: template(["<bos>", 2]),
        decoder: fallbackDecoder(),
        model: spm,
    };
    const llama = sentencePieceModel(["<unk>", "<s>", "</s>"]);
    added = [token(0, "<unk>"), token(1, "<s>"), token(2, "</s>", { rstrip: true, special: false })].concat(
        after(llama, "<|endoftext|>", ["<|end|>", { rstrip: true }], ["<|user|>", { rstrip: true }]),
    );
    all["phi-3"] = {
        added_tokens: added,
        normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, replaceBlank] },
        post_processor: template(["<s>", 1]),
        decoder: fallbackDecoder({ type: "Strip", content: " ", start: 1, stop: 0 }),
        model: llama,
    };
    const clip = suffixModel(true);
    added = after(clip, "<|startoftext|>", ["<|endoftext|>", { normalized: true }]);
    all["clip"] = {
        added_tokens: added,
        normalizer: {
            type: "Sequence",
            normalizers: [{ type: "NFC" }, { type: "Replace", pattern: regex("\\s+"), content: " " }, { type: "Lowercase" }],
        },
        pre_tokenizer: inOrder(
            split(
                regex("<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"),
                "Removed",
                true,
            ),
            byteCut(false),
        ),
        post_processor: {
            type: "RobertaProcessing",
            sep: ["<|endoftext|>", added[1].id],
            cls: ["<|startoftext|>", added[0].id],
            trim_offsets: false,
            add_prefix_space: false,
        },
        decoder: byteDecoder,
        model: clip,
    };
    all["gpt-1"] = {
        added_tokens: [token(0, "<unk>")],
        normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
        pre_tokenizer: { type: "BertPreTokenizer" },
        decoder: { type: "BPEDecoder", suffix: "</w>" },
        model: suffixModel(false),
    };
    all["subword-prefix"] = {
        added_tokens: [token(0, "[UNK]")],
        pre_tokenizer: { type: "Whitespace" },
        decoder: { type: "WordPiece", prefix: "##", cleanup: false },
        model: prefixModel(),
    };
    all["word-level"] = {
        added_tokens: [token(0, "[UNK]")],
        normalizer: { type: "Lowercase" },
        pre_tokenizer: { type: "Whitespace" },
        decoder: null,
        model: {
            type: "WordLevel",
            vocab: numbered([
                "[UNK]",
                ...new Set(
                    corpus
                        .join(" ")
                        .toLowerCase()
                        .match(/\p{L}+/gu),
                ),
            ]),
            unk_token: "[UNK]",
        },
    };
    return all;
}

// --- regular expressions ---------------------------------------------------------------------------------------------------------------
const expressions = [
    o200k,
    han,
    tekken,
    possessive,
    "\\w+",
    "\\W+",
    "\\b\\w",
    "\\B.",
    "^.",
    ".$",
    "^$",
    "(?m:.+)",
    ".+",
    "\\A.",
    ".\\z",
    ".\\Z",
    "(?i:STRASSE|straße|ǆ|é|σ|s)",
    "(?i)hello|WORLD",
    "a(?i)b|c",
    "(?i:[a-k]+)",
    "(?i:[^a-k]+)",
    "[[:alpha:]]+",
    "[[:^alpha:]]+",
    "[[:punct:]]+",
    "[[:alnum:]_]+",
    "[[:space:]]+",
    "[[:upper:]][[:lower:]]*",
    "[[:digit:]]+",
    "[[:xdigit:]]+",
    "[[:graph:]]+",
    "[[:word:]]+",
    "[[:blank:]]+",
    "\\p{Han}+",
    "\\p{Hangul}+|\\p{Hiragana}+|\\p{Katakana}+",
    "\\p{Latin}+",
    "\\P{Latin}+",
    "\\p{^Latin}+",
    "\\p{Cyrillic}+|\\p{Greek}+",
    "\\p{Arabic}+|\\p{Hebrew}+|\\p{Devanagari}+",
    "\\p{Common}+",
    "\\p{Letter}+",
    "\\p{Uppercase_Letter}+",
    "\\p{Alphabetic}+",
    "\\p{Uppercase}+|\\p{Lowercase}+",
    "\\p{White_Space}+",
    "\\p{S}+",
    "\\p{M}+",
    "\\p{Sk}|\\p{So}",
    "\\h+",
    "\\H+",
    "\\d+",
    "\\D+",
    "\\S+\\s?",
    "[^\\s]+",
    "[\\w&&[^\\d_]]+",
    "[a-z&&[^aeiou]]+",
    "[^a-z&&[^aeiou]]+",
    "[]a]+",
    "[a\\-z]+",
    "[+--]+",
    "[a-]+",
    "[\\]\\[]+",
    "a++",
    "\\p{L}++\\p{N}?",
    "(?>\\p{L}+|\\p{N}+)s?",
    "\\p{N}{2}",
    "\\p{N}{2,}",
    "\\p{N}{,2}",
    "\\p{N}{1,3}?",
    "\\p{L}{2}?",
    "\\p{L}{2}+",
    "(?:ab|a)(?=c)|b",
    "(?<=\\s)\\S",
    "(?<!\\s)\\s",
    "\\s+(?!\\S)",
    "(?<name>l)l",
    "(l)o",
    "x?(?#comment)",
    "\\x41|\\x{4F60}|\\u0416",
    "\\t|\\r|\\n",
    "\\R",
    "[𝕳-𝖟]|😀",
    "[\\x{10000}-\\x{10FFFF}]+",
    "[^\\x{10000}-\\x{10FFFF}]+",
    "{",
    "a{",
    "[{}]",
    "\\{|\\}",
    "[\\p{L}--\\p{Lu}]",
    "(?i:K)",
    "(?i:ſ)",
    "[ａ-ｚ]",
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "[\\p{Lu}\\p{Lt}]+(?=[\\p{Lu}\\p{Lt}][\\p{Ll}])|[\\p{Lu}\\p{Lt}]?[\\p{Ll}]+",
    "(?=[\\p{L}])([^a-z])+",
    "((?=[\\p{L}])([^a-z]))*((?=[\\p{L}])([^A-Z]))+",
    "[\\p{P}\\$\\+<=>\\^~\\|`]+",
];

async function cut(pattern, text) {
    const tokenizer = pieces({ pre_tokenizer: split(regex(pattern)) });
    const encoding = await tokenizer.encode(text, null, { addSpecialTokens: false });
    const runes = Array.from(text);
    return encoding.getOffsets().map(([from, to]) => runes.slice(from, to).join(""));
}

// --- writing ----------------------------------------------------------------------------------------------------------------------------
fs.mkdirSync(out, { recursive: true });
for (const [name, parts] of Object.entries(kinds())) {
    const json = { version: "1.0", truncation: null, padding: null, normalizer: null, pre_tokenizer: null, post_processor: null, ...parts };
    const ordered = Object.fromEntries(
        ["version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"].map(
            (key) => [key, json[key]],
        ),
    );
    const tokenizer = Tokenizer.fromString(JSON.stringify(ordered));
    const rows = [];
    for (const text of texts) {
        const ids = (await tokenizer.encode(text)).getIds();
        rows.push(JSON.stringify({ text, ids, decoded: await tokenizer.decode(ids, true) }));
    }
    fs.mkdirSync(path.join(out, name), { recursive: true });
    fs.writeFileSync(path.join(out, name, "tokenizer.json"), JSON.stringify(ordered) + "\n");
    fs.writeFileSync(path.join(out, name, "cases.jsonl"), rows.join("\n") + "\n");
}

const lines = [];
for (const pattern of expressions) {
    const cuts = [];
    try {
        for (const text of texts) cuts.push(await cut(pattern, text));
        lines.push(JSON.stringify({ pattern, cuts }));
    } catch (error) {
        lines.push(JSON.stringify({ pattern, error: String(error.message).slice(0, 120) }));
    }
}
fs.writeFileSync(path.join(out, "expressions.jsonl"), JSON.stringify({ texts }) + "\n" + lines.join("\n") + "\n");
