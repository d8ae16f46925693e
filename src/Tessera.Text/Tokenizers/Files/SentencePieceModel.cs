namespace Tessera.Text.Tokenizers;

/// <summary>What a piece of a sentencepiece model is; the numbers are the file's, and GGUF's.</summary>
internal enum PieceKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>A piece of a sentencepiece model.</summary>
internal readonly record struct SentencePiece(string Text, float Score, PieceKind Kind);

/// <summary>
/// What a <c>tokenizer.model</c> says that is of use here; the numbers of fields are those of
/// <see href="https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto"/>.
/// </summary>
internal sealed class SentencePieceModel
{
    private SentencePieceModel()
    {
    }

    /// <summary>The pieces, in the order of their ids.</summary>
    public List<SentencePiece> Pieces { get; } = [];

    /// <summary>The number of the kind of model: 1 unigram, 2 BPE, 3 words, 4 characters.</summary>
    public int ModelKind { get; private set; } = 1;

    /// <summary>Whether characters without a piece become their bytes.</summary>
    public bool FallsBackToBytes { get; private set; }

    /// <summary>Whether a blank is added after texts rather than before.</summary>
    public bool BlanksAfter { get; private set; }

    /// <summary>What unknown pieces decode to.</summary>
    public string UnknownText { get; private set; } = " ⁇ ";

    /// <summary>The names of the pieces that pad, begin and end.</summary>
    public (string Padding, string Begin, string End) Names { get; private set; } = ("<pad>", "<s>", "</s>");

    /// <summary>The character map, or null.</summary>
    public CharacterMap? Map { get; private set; }

    /// <summary>Whether a blank is put before a text.</summary>
    public bool AddsBlank { get; private set; } = true;

    /// <summary>Whether blanks beyond one are dropped.</summary>
    public bool DropsBlanks { get; private set; } = true;

    /// <summary>Whether blanks are written <c>▁</c>.</summary>
    public bool EscapesBlanks { get; private set; } = true;

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static SentencePieceModel Read(string path)
    {
        var model = new SentencePieceModel();
        var reader = new WireReader(path, File.ReadAllBytes(path));
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    model.Pieces.Add(ReadPiece(path, reader.Bytes, model.Pieces.Count));
                    break;
                case 2:
                    model.ReadTrainer(new WireReader(path, reader.Bytes));
                    break;
                case 3:
                    model.ReadNormalizer(path, new WireReader(path, reader.Bytes));
                    break;
            }
        }

        return model;
    }

    private static SentencePiece ReadPiece(string path, ReadOnlySpan<byte> message, int id)
    {
        var (text, score, kind) = ("", 0f, (int)PieceKind.Normal);
        var reader = new WireReader(path, message);
        while (reader.Next())
        {
            if (reader.Field == 1) text = reader.Text;
            else if (reader.Field == 2) score = reader.Single;
            else if (reader.Field == 3) kind = reader.Whole;
        }

        var fault = text.Length == 0 ? "has no text"
            : !float.IsFinite(score) ? $"has the score {score}; allowed: finite numbers"
            : !Enum.IsDefined((PieceKind)kind) ? $"is of type {kind}; allowed: 1 to 6"
            : null;
        if (fault is not null) throw new InvalidDataException($"{path}: piece {id} '{text}' {fault}.");
        return new SentencePiece(text, score, (PieceKind)kind);
    }

    private void ReadTrainer(WireReader reader)
    {
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 3:
                    ModelKind = reader.Whole;
                    break;
                case 24:
                    BlanksAfter = reader.Truth;
                    break;
                case 35:
                    FallsBackToBytes = reader.Truth;
                    break;
                case 44:
                    UnknownText = reader.Text;
                    break;
                case 46:
                    Names = Names with { Begin = reader.Text };
                    break;
                case 47:
                    Names = Names with { End = reader.Text };
                    break;
                case 48:
                    Names = Names with { Padding = reader.Text };
                    break;
            }
        }
    }

    private void ReadNormalizer(string path, WireReader reader)
    {
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 2 when reader.Bytes.Length > 0:
                    Map = ReadMap(path, reader.Bytes);
                    break;
                case 3:
                    AddsBlank = reader.Truth;
                    break;
                case 4:
                    DropsBlanks = reader.Truth;
                    break;
                case 5:
                    EscapesBlanks = reader.Truth;
                    break;
            }
        }
    }

    private static CharacterMap ReadMap(string path, ReadOnlySpan<byte> bytes)
    {
        try
        {
            return new CharacterMap(bytes.ToArray());
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"{path}: precompiled_charsmap: {error.Message}", error);
        }
    }
}
