namespace Tessera.Text.Tokenizers;

/// <summary>
/// The patterns behind the names that GGUF files give in <c>tokenizer.ggml.pre</c>, as llama.cpp has them in
/// <c>llama-vocab.cpp</c>. They cut one after the other.
/// </summary>
internal static class GgmlPatterns
{
    private const string Digits = @"\p{N}";

    private static readonly string[] _gpt2 = [SplitPreTokenizer.Gpt2Pattern];
    private static readonly string[] _llama3 = [SplitPreTokenizer.Llama3Pattern];
    private static readonly string[] _qwen2 = [SplitPreTokenizer.Qwen2Pattern];
    private static readonly string[] _starcoder = [Digits, SplitPreTokenizer.Gpt2Pattern];

    private static readonly string[] _default =
        [@"[\p{P}\$\+<=>\^~\|]+", SplitPreTokenizer.Gpt2Pattern, @"\p{N}+", "[0-9][0-9][0-9]"];

    private static readonly string[] _falcon =
        [@"[\p{P}\$\+<=>\^~\|`]+", SplitPreTokenizer.Gpt2Pattern, "[0-9][0-9][0-9]"];

    // Letters that have case, of the scripts below U+10000.
    private static readonly string[] _deepSeek =
    [
        @"[\r\n]",
        @"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼ"
            + "\u1FBE" + @"ῂ-ῄῆ-ῌῐ-" + "\u1FD3" + @"ῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ" + "\u2126" + @"ℨ" + "\u212A" + @"-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ]+",
        @"\s?[!-/:-~！-／：-～‘-‟　-。]+",
        @"\s+(?![\s\S])",
        "[一-龥\u0800-一가-\uD7FF]+",
        @"\p{N}+",
    ];

    private static readonly string[] _deepSeekCoder =
        [@"[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", "[一-龥\u0800-一가-\uD7FF]+", Digits];

    private static readonly string[] _deepSeek3 =
    [
        @"\p{N}{1,3}",
        "[一-龥\u3040-\u309F\u30A0-\u30FF]+",
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
            + @"|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];

    private static readonly Dictionary<string, string[]> _byName = new(StringComparer.Ordinal)
    {
        ["default"] = _default,
        ["gpt-2"] = _gpt2, ["phi-2"] = _gpt2, ["mpt"] = _gpt2, ["olmo"] = _gpt2, ["jais"] = _gpt2,
        ["llama3"] = _llama3, ["llama-v3"] = _llama3, ["llama-bpe"] = _llama3, ["falcon3"] = _llama3,
        ["smaug-bpe"] = _llama3, ["dbrx"] = _llama3,
        ["qwen2"] = _qwen2, ["deepseek-r1-qwen"] = _qwen2, ["stablelm2"] = _qwen2,
        ["deepseek-llm"] = _deepSeek, ["deepseek-coder"] = _deepSeekCoder, ["deepseek-v3"] = _deepSeek3,
        ["falcon"] = _falcon,
        ["starcoder"] = _starcoder, ["refact"] = _starcoder, ["command-r"] = _starcoder, ["smollm"] = _starcoder,
        ["codeshell"] = _starcoder,
    };

    /// <summary>The names there are.</summary>
    public static string Names => string.Join(", ", _byName.Keys);

    /// <summary>The patterns of a name, or null.</summary>
    public static string[]? Of(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Whether llama.cpp takes whole words first and begins every sequence.</summary>
    public static bool IsLlama3(string name) => name is "llama3" or "llama-v3" or "llama-bpe" or "falcon3";
}
