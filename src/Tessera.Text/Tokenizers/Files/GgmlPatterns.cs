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

    // Letters that have case, of the scripts below U+10000; by number, since some look like others.
    private const string CasedLetters =
        "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF"
        + "\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5"
        + "\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA"
        + "\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45"
        + "\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE"
        + "\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102"
        + "\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139"
        + "\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3"
        + "\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06"
        + "\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A";

    private static readonly string[] _deepSeek =
    [
        @"[\r\n]",
        $@"\s?[{CasedLetters}]+",
        "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
        @"\s+(?![\s\S])",
        "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
        @"\p{N}+",
    ];

    private static readonly string[] _deepSeekCoder =
        [@"[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+", Digits];

    private static readonly string[] _deepSeek3 =
    [
        @"\p{N}{1,3}",
        "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
            + @"|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];

    private const string Cased = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", Small = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]",
        BeforeWord = @"[^\r\n\p{L}\p{N}]?", Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        AfterNumber = @"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    // OpenAI's o200k and Mistral's tekken: a word ends where its case rises.
    private static readonly string[] _gpt4o =
    [
        $@"{BeforeWord}{Cased}*{Small}+{Contractions}|{BeforeWord}{Cased}+{Small}*{Contractions}|\p{{N}}{{1,3}}{AfterNumber}",
    ];

    private static readonly string[] _tekken = [$@"{BeforeWord}{Cased}*{Small}+|{BeforeWord}{Cased}+{Small}*|\p{{N}}{AfterNumber}"];

    private static readonly Dictionary<string, string[]> _byName = new(StringComparer.Ordinal)
    {
        ["default"] = _default,
        ["gpt-2"] = _gpt2, ["phi-2"] = _gpt2, ["mpt"] = _gpt2, ["olmo"] = _gpt2, ["jais"] = _gpt2,
        ["llama-bpe"] = _llama3, ["llama3"] = _llama3, ["llama-v3"] = _llama3, ["falcon3"] = _llama3,
        ["smaug-bpe"] = _llama3, ["dbrx"] = _llama3,
        ["qwen2"] = _qwen2, ["deepseek-r1-qwen"] = _qwen2, ["stablelm2"] = _qwen2,
        ["deepseek-llm"] = _deepSeek, ["deepseek-coder"] = _deepSeekCoder, ["deepseek-v3"] = _deepSeek3,
        ["falcon"] = _falcon,
        ["starcoder"] = _starcoder, ["refact"] = _starcoder, ["command-r"] = _starcoder, ["smollm"] = _starcoder,
        ["codeshell"] = _starcoder,
        ["gpt-4o"] = _gpt4o, ["llama4"] = _gpt4o, ["tekken"] = _tekken, ["chatglm-bpe"] = _llama3, ["glm4"] = _llama3,
    };

    /// <summary>The names there are.</summary>
    public static string Names => string.Join(", ", _byName.Keys);

    /// <summary>The patterns of a name, or null.</summary>
    public static string[]? Of(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The name of what cuts texts as a byte-level pre-tokenizer does, or null.</summary>
    /// <param name="cuts">The pre-tokenizer.</param>
    /// <param name="wholeWordsFirst">Whether words that are tokens are not put together from merges.</param>
    public static string? NameOf(PreTokenizer cuts, bool wholeWordsFirst)
    {
        if (cuts.Patterns is not { } patterns) return null;
        string[] sought = [.. patterns.Select(Escaped)];
        string[] alike = [.. _byName.Where(known => known.Value.Select(Escaped).SequenceEqual(sought)).Select(known => known.Key)];
        // Whole words first is a matter of the merges elsewhere, which words that are tokens lead to as a rule.
        return alike.FirstOrDefault(name => IsLlama3(name) == wholeWordsFirst) ?? alike.FirstOrDefault();
    }

    /// <summary>Line ends are written as themselves in some files and escaped in others.</summary>
    private static string Escaped(string pattern) =>
        pattern.Replace("\r", @"\r", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal);

    /// <summary>Whether llama.cpp takes whole words first and begins every sequence.</summary>
    public static bool IsLlama3(string name) => name is "llama3" or "llama-v3" or "llama-bpe" or "falcon3";
}
