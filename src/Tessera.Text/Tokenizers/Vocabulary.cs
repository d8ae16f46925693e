namespace Tessera.Text.Tokenizers;

/// <summary>The tokens of a model, each with its id. Ids may be left out.</summary>
internal sealed class Vocabulary
{
    /// <summary>
    /// How many ids a file may leave unused; more are taken for damage, as a model keeps a row for each.
    /// </summary>
    public const int MaxUnusedIds = 65_536;

    private readonly string?[] _texts;
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    /// <summary>Each token's id is its place.</summary>
    /// <exception cref="ArgumentException">A token is there twice.</exception>
    public Vocabulary(IReadOnlyList<string> tokens) : this(tokens.ToArray(), new(tokens.Count, StringComparer.Ordinal))
    {
        for (var id = 0; id < tokens.Count; id++) _ids.Add(tokens[id], id);
    }

    private Vocabulary(string?[] texts, Dictionary<string, int> ids)
    {
        (_texts, _ids) = (texts, ids);
        _lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>The greatest id and one.</summary>
    public int Size => _texts.Length;

    /// <summary>The tokens, in the order of their ids.</summary>
    public IEnumerable<KeyValuePair<string, int>> InOrder =>
        _texts.Select((text, id) => KeyValuePair.Create(text!, id)).Where(token => token.Key is not null);

    /// <summary>The id of a token, or null.</summary>
    public int? Find(ReadOnlySpan<char> token) => _lookup.TryGetValue(token, out var id) ? id : null;

    /// <summary>The token with an id, or null where there is none.</summary>
    public string? TextOf(int id) => (uint)id < (uint)_texts.Length ? _texts[id] : null;

    /// <summary>Reads <c>{ "token": id }</c>.</summary>
    public static Vocabulary Read(JsonPart part)
    {
        (string Name, int Id, JsonPart Part)[] members =
            [.. part.Members().Select(member => (member.Name, member.Value.Id(), member.Value))];
        var size = members.Length == 0 ? 0 : members.Max(member => member.Id) + 1L;
        if (size > members.Length + MaxUnusedIds)
        {
            var greatest = members.MaxBy(member => member.Id).Part;
            throw greatest.Wrong($"less than {members.Length + MaxUnusedIds}, as there are {members.Length} tokens");
        }

        var texts = new string?[size];
        var ids = new Dictionary<string, int>(members.Length, StringComparer.Ordinal);
        foreach (var (name, id, member) in members)
        {
            if (texts[id] is { } other) throw member.Wrong($"an id of its own, this is that of '{other}'");
            texts[id] = name;
            ids.Add(name, id);
        }

        return new Vocabulary(texts, ids);
    }
}
