using System.Text.Json;

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
        if (given.TokenTypes.Count == 0) return [.. given.Tokens.Select(_ => PieceKind.Normal)];
        if (given.TokenTypes.Count != given.Tokens.Count)
            throw Wrong("token_type", $"{given.TokenTypes.Count} long", $"as long as tokens, {given.Tokens.Count}");
        return [.. given.TokenTypes.Select(type => Enum.IsDefined((PieceKind)type)
            ? (PieceKind)type
            : throw Wrong("token_type", $"{type} for a token", "1 to 6"))];
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
        var merges = new List<(int, int, int)>(given.Merges.Count);
        for (var i = 0; i < given.Merges.Count; i++)
        {
            var merge = given.Merges[i];
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
        var roles = new TokenRoles(NameOf(given.PaddingId), NameOf(given.BeginId), NameOf(given.EndId));
        var begin = given.AddsBegin ?? beginsByDefault ? given.BeginId : null;
        var end = given.AddsEnd ?? false ? given.EndId : null;
        return new TokenizerParts([.. added], normalizer, preTokenizer, Around(begin, end), decoder, roles);
    }

    private string? NameOf(int? id) => id is { } known ? given.Tokens[known] : null;

    /// <summary>What puts tokens before and after a text, written as Hugging Face's template has it.</summary>
    private PostProcessor? Around(int? begin, int? end)
    {
        if (begin is null && end is null) return null;
        var text = new { Sequence = new { id = "A", type_id = 0 } };
        object[] single = [.. Special(begin), text, .. Special(end)];
        object[] second = [.. Special(begin), new { Sequence = new { id = "B", type_id = 1 } }, .. Special(end)];
        var names = ((int?[])[begin, end]).OfType<int>().Distinct();
        var special_tokens = names.ToDictionary(
            id => given.Tokens[id],
            id => new { id = given.Tokens[id], ids = (int[])[id], tokens = (string[])[given.Tokens[id]] });
        var section = new { type = "TemplateProcessing", single, pair = (object[])[.. single, .. second], special_tokens };
        return PostProcessor.Read(new JsonPart(source, JsonSerializer.SerializeToElement(section)));

        IEnumerable<object> Special(int? id) =>
            id is null ? [] : [new { SpecialToken = new { id = NameOf(id), type_id = 0 } }];
    }

    private InvalidDataException Wrong(string key, string found, string allowed) =>
        new($"{source}: '{Keys}{key}' is {found}; allowed: {allowed}.");
}
