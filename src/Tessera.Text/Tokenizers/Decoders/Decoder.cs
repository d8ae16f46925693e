using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Turns the texts of tokens into the text they stand for; the <c>decoder</c> of <c>tokenizer.json</c>. A step maps the
/// list of texts to another, what the last one gives is joined.
/// </summary>
internal abstract class Decoder
{
    /// <summary>The value of <c>type</c> in a file.</summary>
    private protected abstract string Kind { get; }

    /// <summary>The texts after this step; the list may be changed and given back.</summary>
    public abstract List<string> Apply(List<string> tokens);

    /// <summary>Writes it as an object of <c>tokenizer.json</c>.</summary>
    public virtual void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", Kind);
        WriteMembers(writer);
        writer.WriteEndObject();
    }

    /// <summary>Writes what there is beside <c>type</c>.</summary>
    private protected virtual void WriteMembers(Utf8JsonWriter writer)
    {
    }

    /// <summary>Reads the object that <see cref="Write"/> writes.</summary>
    public static Decoder Read(JsonPart part) => part.Required("type").Text() switch
    {
        "ByteLevel" => new ByteLevelDecoder(),
        "Sequence" => new DecoderSequence([.. part.Required("decoders").Items().Select(Read)]),
        "Replace" => new ReplaceDecoder(Replacement.Read(part)),
        "ByteFallback" => new ByteFallbackDecoder(),
        "Fuse" => new FuseDecoder(),
        "Strip" => StripDecoder.Read(part),
        "Metaspace" => new MetaspaceDecoder(MetaspacePreTokenizer.Read(part)),
        "WordPiece" => WordPieceDecoder.Read(part),
        "BPEDecoder" => new SuffixDecoder(part.Optional("suffix")?.Text() ?? SuffixDecoder.UsualSuffix),
        _ => throw part.Required("type").Unsupported(
            "ByteLevel, Sequence, Replace, ByteFallback, Fuse, Strip, Metaspace, WordPiece or BPEDecoder"),
    };

    /// <summary>Changes each text by itself.</summary>
    private protected static List<string> Each(List<string> tokens, Func<string, int, string> change)
    {
        for (var i = 0; i < tokens.Count; i++) tokens[i] = change(tokens[i], i);
        return tokens;
    }
}

/// <summary>Steps one after the other.</summary>
internal sealed class DecoderSequence(params IReadOnlyList<Decoder> steps) : Decoder
{
    private protected override string Kind => "Sequence";

    public override List<string> Apply(List<string> tokens)
    {
        foreach (var step in steps) tokens = step.Apply(tokens);
        return tokens;
    }

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("decoders");
        foreach (var step in steps) step.Write(writer);
        writer.WriteEndArray();
    }
}
