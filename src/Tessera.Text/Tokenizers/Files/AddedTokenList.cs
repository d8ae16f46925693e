namespace Tessera.Text.Tokenizers;

/// <summary>The added tokens of a tokenizer while those of further files are put to them.</summary>
internal sealed class AddedTokenList
{
    private readonly Vocabulary _vocabulary;
    private readonly List<AddedToken> _added;
    private readonly List<AddedToken> _controls;

    /// <param name="parts">With the tokens that there are already.</param>
    /// <param name="vocabulary">The model's tokens.</param>
    public AddedTokenList(TokenizerParts parts, Vocabulary vocabulary) =>
        (_vocabulary, _added, _controls) = (vocabulary, [.. parts.AddedTokens], [.. parts.ControlTokens]);

    /// <summary>The tokens.</summary>
    public IReadOnlyCollection<AddedToken> Added => _added;

    /// <summary>The id of a token, or null.</summary>
    public int? Find(string text) => _added.Find(token => token.Text == text)?.Id ?? _vocabulary.Find(text);

    /// <summary>Whether there is such a token.</summary>
    public bool Knows(string text) => Find(text) is not null;

    /// <summary>The token with an id.</summary>
    public string TextOf(int id) => _added.Find(token => token.Id == id)?.Text ?? _vocabulary.TextOf(id)!;

    /// <summary>
    /// Puts a token in place of the one of the same text. A text that has an id keeps it; one whose id is another token's gets the
    /// next.
    /// </summary>
    /// <param name="token">The token.</param>
    /// <param name="place">Where it stands.</param>
    public void Put(AddedToken token, JsonPart place)
    {
        var room = _vocabulary.Size + _added.Count + Vocabulary.MaxUnusedIds;
        if (token.Id >= room) throw place.Wrong($"the token of an id less than {room}, as there are so few tokens");
        var isTaken = _vocabulary.TextOf(token.Id) is not null || _added.Exists(other => other.Id == token.Id);
        Put(token with { Id = Find(token.Text) ?? (isTaken ? NextId : token.Id) });
    }

    /// <summary>Sees to it that a text is found as a token of its own: where it has none, it gets the next id.</summary>
    public void Require(string text)
    {
        if (!_added.Exists(token => token.Text == text)) Put(new AddedToken(text, Find(text) ?? NextId));
    }

    /// <summary>The parts with these tokens.</summary>
    public TokenizerParts Into(TokenizerParts parts) => parts with { AddedTokens = _added, ControlTokens = _controls };

    private int NextId => Math.Max(_vocabulary.Size, _added.Count == 0 ? 0 : _added.Max(token => token.Id) + 1);

    private void Put(AddedToken token)
    {
        _controls.RemoveAll(control => control.Id == token.Id);
        var at = _added.FindIndex(known => known.Id == token.Id);
        if (at >= 0) _added[at] = token;
        else _added.Add(token);
    }
}
