namespace Tessera.Text.Tokenizers;

/// <summary>
/// Which tokens have a part to play in sequences. <c>tokenizer.json</c> does not say; Hugging Face keeps it in
/// <c>tokenizer_config.json</c> and <c>special_tokens_map.json</c> (<c>pad_token</c>, <c>bos_token</c>, <c>eos_token</c> and so on).
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

    /// <summary>The token of what is unknown (<c>unk_token</c>), or null for none.</summary>
    public string? Unknown { get; init; }

    /// <summary>The token between two texts (<c>sep_token</c>), or null for none.</summary>
    public string? Separator { get; init; }

    /// <summary>The token whose hidden state stands for a text (<c>cls_token</c>), or null for none.</summary>
    public string? Classification { get; init; }

    /// <summary>The token in place of one that is to be predicted (<c>mask_token</c>), or null for none.</summary>
    public string? Mask { get; init; }

    /// <summary>Further special tokens, by no name of their own (<c>additional_special_tokens</c>).</summary>
    public IReadOnlyList<string> Additional { get; init; } = [];

    /// <summary>Those that have a name, under the name that chat templates and <c>tokenizer_config.json</c> know them by.</summary>
    public IEnumerable<(string Key, string Token)> Named
    {
        get
        {
            (string Key, string? Token)[] all =
            [
                ("bos_token", Begin), ("eos_token", End), ("unk_token", Unknown), ("sep_token", Separator), ("pad_token", Padding),
                ("cls_token", Classification), ("mask_token", Mask),
            ];
            return all.Where(role => role.Token is not null).Select(role => (role.Key, role.Token!));
        }
    }

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
