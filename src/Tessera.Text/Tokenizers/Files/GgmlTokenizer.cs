namespace Tessera.Text.Tokenizers;

/// <summary>Makes a tokenizer of a vocabulary as llama.cpp reads it.</summary>
internal sealed class GgmlTokenizer(string source, GgmlVocabulary given)
{
    private const string Keys = "tokenizer.ggml.";

    private PieceKind[] _kinds = [];

    /// <summary>Checks what is given and makes the tokenizer.</summary>
    /// <exception cref="InvalidDataException">It is damaged or not supported.</exception>
    public Tokenizer Make()
    {
        _kinds = Kinds();
        foreach (var (name, id) in Named())
            if (id is { } one && (uint)one >= (uint)given.Tokens.Count)
                throw Wrong($"{name}_token_id", $"{one}", $"0 to {given.Tokens.Count - 1}");
        var vocabulary = SentencePieceFile.VocabularyOf($"{source}: {Keys}tokens", given.Tokens);
        return given.Model switch
        {
            "llama" => MakeSentencePiece(vocabulary),
            "gpt2" => MakeByteLevel(vocabulary),
            _ => throw Wrong("model", given.Model, "llama or gpt2"),
        };
    }

    private IEnumerable<(string Name, int? Id)> Named() =>
        [("bos", given.BeginId), ("eos", given.EndId), ("padding", given.PaddingId), ("unknown", given.UnknownId)];

    private PieceKind[] Kinds()
    {
        if (given.TokenTypes.Count > 0 && given.TokenTypes.Count != given.Tokens.Count)
            throw Wrong("token_type", $"{given.TokenTypes.Count} long", $"as long as tokens, {given.Tokens.Count}");
        return [.. given.Tokens.Select((token, id) => GgmlEnds.IsEnd(token) ? PieceKind.Control : KindOf(id))];

        PieceKind KindOf(int id) => given.TokenTypes.Count == 0 ? PieceKind.Normal
            : Enum.IsDefined((PieceKind)given.TokenTypes[id]) ? (PieceKind)given.TokenTypes[id]
            : throw Wrong("token_type", $"{given.TokenTypes[id]} for a token", "1 to 6");
    }

    private BytePairTokenizer MakeSentencePiece(Vocabulary vocabulary)
    {
        if (given.Scores.Count != given.Tokens.Count)
            throw Wrong("scores", $"{given.Scores.Count} long", $"as long as tokens, {given.Tokens.Count}");
        if (given.Scores.Any(score => !float.IsFinite(score))) throw Wrong("scores", "not finite", "numbers");
        if (ByteTokens.Of(vocabulary) is null) throw Wrong("tokens", "without one of <0x00> to <0xFF>", "with all of them");
        var unknown = given.UnknownId ?? Math.Max(0, Array.IndexOf(_kinds, PieceKind.Unknown));
        // Like llama.cpp, which asks for no type: whatever is a token can be joined to.
        var merges = MergeTable.OfScores([.. given.Tokens.Select((token, id) => (token, id, (double)given.Scores[id]))]);
        var adds = given.AddsBlank ?? true;
        var escape = new ReplaceNormalizer(new Replacement(" ", $"{SentencePieceNormalizer.Blank}"));
        Normalizer normalizer = adds
            ? new NormalizerSequence(new PrependNormalizer($"{SentencePieceNormalizer.Blank}"), escape)
            : escape;
        var decoder = new SentencePieceDecoder(given.Tokens[unknown], " ⁇ ", trimsStart: adds, trimsAll: false);
        var parts = Parts(normalizer, null, decoder, beginsByDefault: true);
        return new BytePairTokenizer(vocabulary, merges, parts, new BytePairOptions(
            given.Tokens[unknown], FusesUnknown: true, FallsBackToBytes: true) { Scores = given.Scores });
    }

    private BytePairTokenizer MakeByteLevel(Vocabulary vocabulary)
    {
        var pre = given.PreTokenizer ?? "default";
        var patterns = GgmlPatterns.Of(pre) ?? throw Wrong("pre", pre, GgmlPatterns.Names);
        var pairs = given.Merges ?? throw Wrong("merges", "missing", "an array of pairs, as 'model' is gpt2");
        var merges = new List<(int, int, int)>(pairs.Count);
        for (var i = 0; i < pairs.Count; i++)
        {
            var merge = pairs[i];
            // A token may begin with a blank; none ends in one.
            var blank = merge.Length < 2 ? -1 : merge.IndexOf(' ', 1);
            if (blank < 0) throw Wrong($"merges[{i}]", $"'{merge}'", "two tokens with a blank between");
            var (left, right) = (merge[..blank], merge[(blank + 1)..]);
            merges.Add((IdOf(left), IdOf(right), IdOf(left + right)));

            int IdOf(string token) => vocabulary.Find(token)
                ?? throw Wrong($"merges[{i}]", $"'{merge}'", $"of known tokens, '{token}' is none");
        }

        // Llama 3 takes whole words first and begins every sequence.
        var isLlama = GgmlPatterns.IsLlama3(pre);
        var parts = Parts(
            null, PreTokenizerSequence.OnBytes(patterns), new ByteLevelDecoder(), beginsByDefault: isLlama);
        return new BytePairTokenizer(vocabulary, new MergeTable(merges), parts, new BytePairOptions(WholeWordsFirst: isLlama));
    }

    private TokenizerParts Parts(
        Normalizer? normalizer, PreTokenizer? preTokenizer, Decoder decoder, bool beginsByDefault)
    {
        var added = given.Tokens
            .Select((token, id) => new AddedToken(token, id, Special: _kinds[id] == PieceKind.Control))
            .Where(token => _kinds[token.Id] is PieceKind.Control or PieceKind.UserDefined && token.Text.Length > 0);
        var roles = new TokenRoles(NameOf(given.PaddingId), NameOf(given.BeginId), NameOf(given.EndId))
        {
            Unknown = NameOf(given.UnknownId),
        };
        var begin = given.AddsBegin ?? beginsByDefault ? given.BeginId : null;
        var end = given.AddsEnd ?? false ? given.EndId : null;
        var around = begin is null && end is null
            ? null
            : PostProcessor.Of([.. One(begin)], [.. One(end)], id => given.Tokens[id]);
        return new TokenizerParts([.. added], normalizer, preTokenizer, around, decoder, roles) { NamedRoles = roles };

        static IEnumerable<int> One(int? id) => id is { } known ? [known] : [];
    }

    private string? NameOf(int? id) => id is { } known ? given.Tokens[known] : null;

    private InvalidDataException Wrong(string key, string found, string allowed) =>
        new($"{source}: '{Keys}{key}' is {found}; allowed: {allowed}.");
}
