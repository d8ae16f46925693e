namespace Tessera.Text.Tokenizers;

/// <summary>
/// Which tokens fill up, begin and end a sequence. <c>tokenizer.json</c> does not say; Hugging Face keeps it in
/// <c>tokenizer_config.json</c> (<c>pad_token</c>, <c>bos_token</c>, <c>eos_token</c>).
/// </summary>
/// <param name="Padding">The token that fills up, or null for none.</param>
/// <param name="Begin">The token before a sequence, or null for none.</param>
/// <param name="End">The token after a sequence, or null for none.</param>
public sealed record TokenRoles(string? Padding = null, string? Begin = null, string? End = null)
{
    private static readonly string[] _padding = ["<pad>", "[PAD]", "<|pad|>", "<｜▁pad▁｜>"];
    private static readonly string[] _begin = ["<s>", "<bos>", "[CLS]", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>"];
    private static readonly string[] _end =
        ["</s>", "<eos>", "[SEP]", "<|end_of_text|>", "<|endoftext|>", "<｜end▁of▁sentence｜>"];

    /// <summary>
    /// The roles that the special tokens of known model families have by their names; null where none has it.
    /// </summary>
    internal static TokenRoles ByName(IReadOnlyCollection<AddedToken> tokens)
    {
        return new TokenRoles(FirstOf(_padding), FirstOf(_begin), FirstOf(_end));

        string? FirstOf(string[] names) =>
            names.FirstOrDefault(name => tokens.Any(token => token.Special && token.Text == name));
    }
}
