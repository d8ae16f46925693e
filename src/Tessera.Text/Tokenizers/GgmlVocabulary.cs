namespace Tessera.Text.Tokenizers;

/// <summary>The vocabulary inside a GGUF file: the values of its <c>tokenizer.ggml.*</c> keys.</summary>
/// <param name="Model"><c>model</c>: <c>llama</c> (sentencepiece's BPE) or <c>gpt2</c> (byte-level BPE).</param>
/// <param name="Tokens"><c>tokens</c>: the tokens by their ids.</param>
public sealed record GgmlVocabulary(string Model, IReadOnlyList<string> Tokens)
{
    /// <summary><c>pre</c>: how texts are cut, for <c>gpt2</c>; null for <c>default</c>.</summary>
    public string? PreTokenizer { get; init; }

    /// <summary><c>scores</c>: one for each token, for <c>llama</c>.</summary>
    public IReadOnlyList<float> Scores { get; init; } = [];

    /// <summary>
    /// <c>token_type</c>: for each token 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; or none, where
    /// all are normal.
    /// </summary>
    public IReadOnlyList<int> TokenTypes { get; init; } = [];

    /// <summary><c>merges</c>: pairs with a blank between, the first to be joined first, for <c>gpt2</c>, which must have them, be it
    /// none; null where there is no such key.</summary>
    public IReadOnlyList<string>? Merges { get; init; }

    /// <summary><c>bos_token_id</c>, or null.</summary>
    public int? BeginId { get; init; }

    /// <summary><c>eos_token_id</c>, or null.</summary>
    public int? EndId { get; init; }

    /// <summary><c>padding_token_id</c>, or null.</summary>
    public int? PaddingId { get; init; }

    /// <summary><c>unknown_token_id</c>, or null.</summary>
    public int? UnknownId { get; init; }

    /// <summary><c>add_bos_token</c>: whether a sequence begins with that token; null for what the model does.</summary>
    public bool? AddsBegin { get; init; }

    /// <summary><c>add_eos_token</c>: whether a sequence ends with that token; null for no.</summary>
    public bool? AddsEnd { get; init; }

    /// <summary><c>add_space_prefix</c>: whether a blank goes before a text, for <c>llama</c>; null for yes.</summary>
    public bool? AddsBlank { get; init; }

    /// <summary>
    /// The vocabulary of a tokenizer: byte-pair encoding, of bytes or, with tokens for bytes that have none, of characters. Whether a
    /// sequence has a beginning and an end is what the tokenizer's file says of it.
    /// </summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="preTokenizer">
    /// The name for <c>pre</c>, one that llama.cpp knows; null to find the one that cuts texts as the tokenizer does.
    /// </param>
    /// <exception cref="ArgumentException">llama.cpp has no such tokenizer, or no pre-tokenizer of this name.</exception>
    public static GgmlVocabulary Of(Tokenizer tokenizer, string? preTokenizer = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return GgmlExport.Of(tokenizer, preTokenizer);
    }

    /// <summary>The same with tokens that are never used up to a number of tokens, as a model has rows for.</summary>
    /// <param name="size">How many tokens there are to be; at least as many as there are.</param>
    public GgmlVocabulary PaddedTo(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, Tokens.Count);
        var added = Enumerable.Range(Tokens.Count, size - Tokens.Count).ToArray();
        return added.Length == 0 ? this : this with
        {
            Tokens = [.. Tokens, .. added.Select(id => $"[PAD{id}]")],
            TokenTypes = TokenTypes.Count == 0 ? TokenTypes : [.. TokenTypes, .. added.Select(_ => (int)PieceKind.Unused)],
            Scores = Scores.Count == 0 ? Scores : [.. Scores, .. added.Select(_ => float.MinValue)],
        };
    }

    /// <summary>The same without the tokens from a number on, for which a model has no rows; roles that they have are no one's.</summary>
    /// <param name="size">How many tokens there are to be; at most as many as there are.</param>
    public GgmlVocabulary CutTo(int size)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, Tokens.Count);
        return this with
        {
            Tokens = [.. Tokens.Take(size)], TokenTypes = [.. TokenTypes.Take(size)], Scores = [.. Scores.Take(size)],
            BeginId = Kept(BeginId), EndId = Kept(EndId), PaddingId = Kept(PaddingId), UnknownId = Kept(UnknownId),
        };

        int? Kept(int? id) => id < size ? id : null;
    }

    /// <summary>
    /// Makes the tokenizer. Control and user-defined tokens are its <see cref="Tokenizer.AddedTokens"/>.
    /// </summary>
    /// <param name="source">What messages call this vocabulary, such as the path of the file.</param>
    /// <exception cref="InvalidDataException">
    /// Values contradict each other, or model or pre-tokenizer is none of those supported; the message names the key,
    /// what was found and what is allowed.
    /// </exception>
    public Tokenizer ToTokenizer(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new GgmlTokenizer(source, this).Make();
    }
}
