namespace Tessera.Text.Tokenizers;

/// <summary>Makes of a tokenizer the vocabulary that llama.cpp reads: what <see cref="GgmlTokenizer"/> does, back.</summary>
internal static class GgmlExport
{
    /// <summary>The vocabulary.</summary>
    /// <param name="tokenizer">Byte-pair encoding of either kind.</param>
    /// <param name="preTokenizer">The name for <c>pre</c>; null to find the one that cuts alike.</param>
    /// <exception cref="ArgumentException">llama.cpp has no such tokenizer.</exception>
    public static GgmlVocabulary Of(Tokenizer tokenizer, string? preTokenizer)
    {
        if (tokenizer is not BytePairTokenizer pairs)
            throw new ArgumentException("GGUF files hold byte-pair encoding, which this tokenizer is not");
        return pairs.Parts.PreTokenizer is { IsByteLevel: true } cuts ? ByteLevel(pairs, cuts, preTokenizer) : SentencePiece(pairs);
    }

    private static GgmlVocabulary ByteLevel(BytePairTokenizer tokenizer, PreTokenizer cuts, string? given)
    {
        if (given is not null && GgmlPatterns.Of(given) is null)
            throw new ArgumentException($"pre-tokenizer '{given}' is not known; allowed: {GgmlPatterns.Names}");
        var name = given ?? GgmlPatterns.NameOf(cuts, tokenizer.Options.WholeWordsFirst) ?? throw new ArgumentException(
                $"llama.cpp has no pre-tokenizer that cuts texts as this tokenizer does; name the nearest of {GgmlPatterns.Names}");
        return Common(tokenizer, "gpt2", PieceKind.Normal) with
        {
            PreTokenizer = name,
            Merges = [.. tokenizer.Merges.InOrder.Select(merge => $"{tokenizer.TokenText(merge.Left)} {tokenizer.TokenText(merge.Right)}")],
            AddsBegin = Has(tokenizer.Parts.PostProcessor?.Before, tokenizer.BeginId),
            AddsEnd = Has(tokenizer.Parts.PostProcessor?.After, tokenizer.EndId),
        };

        static bool Has(int[]? around, int? id) => id is { } known && around?.Contains(known) == true;
    }

    private static GgmlVocabulary SentencePiece(BytePairTokenizer tokenizer)
    {
        if (!tokenizer.Options.FallsBackToBytes
            || Enumerable.Range(0, 256).Any(value => tokenizer.Find(ByteFallbackDecoder.TokenOf(value)) is null))
            throw new ArgumentException("llama.cpp has no byte-pair encoding of characters without tokens for all bytes, <0x00> to <0xFF>");
        var around = tokenizer.Parts.PostProcessor;
        return Common(tokenizer, "llama", PieceKind.Byte) with
        {
            PreTokenizer = "default",
            Scores = tokenizer.Options.Scores ?? ScoresOf(tokenizer),
            UnknownId = tokenizer.Options.UnknownToken is { } unknown ? tokenizer.Find(unknown) : null,
            AddsBegin = around is null ? null : tokenizer.BeginId is { } begin && around.Before.Contains(begin),
            AddsEnd = around is null ? null : tokenizer.EndId is { } end && around.After.Contains(end),
            AddsBlank =
                tokenizer.EncodeOrdinary("a") is [var first, ..] && tokenizer.TokenText(first).StartsWith(SentencePieceNormalizer.Blank),
        };
    }

    /// <summary>What both kinds have; ids that no token has get one that is never used.</summary>
    private static GgmlVocabulary Common(BytePairTokenizer tokenizer, string model, PieceKind bytes)
    {
        var special = tokenizer.AddedTokens.Concat(tokenizer.Parts.ControlTokens).ToDictionary(token => token.Id, token => token.Special);
        var unknown = tokenizer.Options.UnknownToken is { } name ? tokenizer.Find(name) : null;
        var (tokens, kinds) = (new string[tokenizer.VocabularySize], new int[tokenizer.VocabularySize]);
        for (var id = 0; id < tokens.Length; id++)
        {
            var isThere = tokenizer.Contains(id);
            tokens[id] = isThere ? tokenizer.TokenText(id) : $"[PAD{id}]";
            kinds[id] = (int)(!isThere ? PieceKind.Unused
                : id == unknown ? PieceKind.Unknown
                : special.TryGetValue(id, out var isSpecial) ? isSpecial ? PieceKind.Control : PieceKind.UserDefined
                : bytes == PieceKind.Byte && IsByte(tokens[id]) ? bytes : PieceKind.Normal);
        }

        return new GgmlVocabulary(model, tokens)
        {
            TokenTypes = kinds, BeginId = tokenizer.BeginId, EndId = tokenizer.EndId, PaddingId = tokenizer.PaddingId, UnknownId = unknown,
        };
    }

    private static bool IsByte(string token) => token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[^1] == '>';

    /// <summary>Scores that join the same pairs first: sentencepiece's are the numbers of merges, negative, and then those of
    /// single characters.</summary>
    private static float[] ScoresOf(BytePairTokenizer tokenizer)
    {
        var scores = new float[tokenizer.VocabularySize];
        var (rank, isMade) = (0, new bool[scores.Length]);
        foreach (var merge in tokenizer.Merges.InOrder)
        {
            if (isMade[merge.Joined]) continue;
            isMade[merge.Joined] = true;
            scores[merge.Joined] = -rank++;
        }

        for (var id = 0; id < scores.Length; id++)
            if (!isMade[id] && tokenizer.Contains(id) && tokenizer.TokenText(id).EnumerateRunes().Count() == 1) scores[id] = -rank++;
        return scores;
    }
}
