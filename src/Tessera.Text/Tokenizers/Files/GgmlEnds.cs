namespace Tessera.Text.Tokenizers;

/// <summary>
/// The tokens that end what a model writes by their names alone, whatever ids a GGUF file gives, as in <c>llama-vocab.cpp</c>. They are
/// control tokens, also where a file calls them normal.
/// </summary>
internal static class GgmlEnds
{
    private const string Return = "<|return|>", Call = "<|call|>", EndOfMessage = "<|end|>";

    private static readonly HashSet<string> _names = new(StringComparer.Ordinal)
    {
        "<|eot_id|>", "<|im_end|>", EndOfMessage, Return, Call, "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>",
        "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<｜end▁of▁sentence｜>",
    };

    /// <summary>Whether a token ends what a model writes by its name.</summary>
    public static bool IsEnd(string token) => _names.Contains(token);

    /// <summary>The ids of such tokens, the least first.</summary>
    /// <param name="find">The id of a token, or null.</param>
    public static IReadOnlyList<int> In(Func<string, int?> find)
    {
        // In OpenAI's harmony format a message's end is no turn's end: others follow.
        var isHarmony = find(Return) is not null && find(Call) is not null;
        return [.. _names.Where(name => !(isHarmony && name == EndOfMessage)).Select(find).OfType<int>().Order()];
    }
}
