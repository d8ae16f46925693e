using Tessera.Text.Files;

namespace Tessera.Text.Tokenizers;

/// <summary>Makes tokenizers of sentencepiece's <c>tokenizer.model</c> files.</summary>
internal static class SentencePieceFile
{
    /// <summary>The file in a folder.</summary>
    public const string Name = "tokenizer.model";

    /// <summary>How names of such files end.</summary>
    public const string Extension = ".model";

    private const int Unigram = 1, BytePair = 2;

    /// <summary>Reads a file.</summary>
    public static Tokenizer Read(string path, TokenRoles? roles)
    {
        FileKinds.Require(path, FileKind.SentencePiece, "a sentencepiece model");
        var model = SentencePieceModel.Read(path);
        if (model.ModelKind is not (Unigram or BytePair))
            throw new InvalidDataException($"{path}: model_type is {model.ModelKind}; supported: 1 (unigram), 2 (BPE).");
        var pieces = model.Pieces;
        var unknown = pieces.FindIndex(piece => piece.Kind == PieceKind.Unknown);
        if (unknown < 0 || pieces.FindLastIndex(piece => piece.Kind == PieceKind.Unknown) != unknown)
            throw new InvalidDataException($"{path}: there must be one piece of type 2 (unknown).");
        var vocabulary = VocabularyOf(path, [.. pieces.Select(piece => piece.Text)]);
        if (model.FallsBackToBytes && ByteTokens.Of(vocabulary) is null)
            throw new InvalidDataException($"{path}: byte_fallback is true, but a piece from <0x00> to <0xFF> is missing.");
        var settings = TokenizerSettings.Beside(path);
        var parts = settings.Merge(PartsOf(model, pieces[unknown].Text, settings.BlanksEveryStretch), vocabulary, roles, isBare: true);
        return model.ModelKind == Unigram
            ? MakeUnigram(model, vocabulary, unknown, parts)
            : MakeBytePair(path, model, vocabulary, unknown, parts);
    }

    /// <summary>A vocabulary without equal tokens.</summary>
    /// <exception cref="InvalidDataException">Two are equal.</exception>
    public static Vocabulary VocabularyOf(string path, IReadOnlyList<string> tokens)
    {
        var twice = tokens.GroupBy(token => token, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1);
        return twice is null ? new Vocabulary(tokens) : throw new InvalidDataException($"{path} has '{twice.Key}' twice.");
    }

    private static TokenizerParts PartsOf(SentencePieceModel model, string unknown, bool blanksEveryStretch)
    {
        // A blank only before what begins the whole is the pre-tokenizer's matter, as normalizers do not see what does.
        var blanksFirst = model.AddsBlank && !model.BlanksAfter && model.EscapesBlanks && !blanksEveryStretch;
        var symbols = Numbered(PieceKind.UserDefined);
        var normalizer = new SentencePieceNormalizer(
            model.Map,
            [.. symbols.Select(symbol => symbol.Piece.Text)],
            model.AddsBlank && !blanksFirst,
            model.DropsBlanks,
            model.EscapesBlanks,
            model.BlanksAfter);
        var first = new MetaspacePreTokenizer($"{SentencePieceNormalizer.Blank}", PrependScheme.First, splits: false);
        var decoder = new SentencePieceDecoder(
            unknown, model.UnknownText, model.AddsBlank || model.DropsBlanks, model.DropsBlanks);
        // A unigram model finds these symbols by their scores, merges would go past them.
        AddedToken[] added = model.ModelKind == Unigram ? []
            : [.. symbols.Select(symbol => new AddedToken(symbol.Piece.Text, symbol.Id, Special: false, Normalized: true))];
        return new TokenizerParts(added, normalizer, blanksFirst ? first : null, null, decoder, RolesOf(model))
        {
            ControlTokens = [.. Numbered(PieceKind.Control).Select(control => new AddedToken(control.Piece.Text, control.Id))],
        };

        (SentencePiece Piece, int Id)[] Numbered(PieceKind kind) =>
            [.. model.Pieces.Select((piece, id) => (piece, id)).Where(numbered => numbered.piece.Kind == kind)];
    }

    private static TokenRoles RolesOf(SentencePieceModel model)
    {
        return new TokenRoles(Control(model.Names.Padding), Control(model.Names.Begin), Control(model.Names.End));

        string? Control(string name) =>
            model.Pieces.Exists(piece => piece.Kind == PieceKind.Control && piece.Text == name) ? name : null;
    }

    private static UnigramTokenizer MakeUnigram(
        SentencePieceModel model, Vocabulary vocabulary, int unknown, TokenizerParts parts)
    {
        var pieces = model.Pieces;
        var normal = pieces.Where(piece => piece.Kind == PieceKind.Normal).Select(piece => piece.Score).ToArray();
        var greatest = normal.DefaultIfEmpty().Max();
        var options = new UnigramOptions(
            unknown,
            model.FallsBackToBytes,
            SinglePrecision: true,
            id => pieces[id].Kind is PieceKind.Normal or PieceKind.UserDefined,
            normal.DefaultIfEmpty().Min());
        return new UnigramTokenizer(vocabulary, [.. pieces.Select(Score)], parts, options);

        // A symbol of the user's scores more than any other way to cut its text.
        double Score(SentencePiece piece) => piece.Kind == PieceKind.UserDefined
            ? System.Text.Encoding.UTF8.GetByteCount(piece.Text) * greatest - 0.1
            : piece.Score;
    }

    private static BytePairTokenizer MakeBytePair(
        string path, SentencePieceModel model, Vocabulary vocabulary, int unknown, TokenizerParts parts)
    {
        var unused = model.Pieces.FindIndex(piece => piece.Kind == PieceKind.Unused);
        if (unused >= 0)
            throw new InvalidDataException($"{path}: piece {unused} is of type 5 (unused), which a BPE model cannot have here.");
        var merged = model.Pieces.Select((piece, id) => (piece.Text, id, (double)piece.Score, piece.Kind))
            .Where(piece => piece.Kind == PieceKind.Normal)
            .Select(piece => (piece.Text, piece.id, piece.Item3));
        return new BytePairTokenizer(vocabulary, MergeTable.OfScores([.. merged]), parts, new BytePairOptions(
            vocabulary.TextOf(unknown), FusesUnknown: true, FallsBackToBytes: model.FallsBackToBytes)
        {
            Scores = [.. model.Pieces.Select(piece => piece.Score)],
        });
    }
}
