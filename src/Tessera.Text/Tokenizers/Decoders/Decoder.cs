using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Turns the texts of tokens into the text they stand for; the <c>decoder</c> of <c>tokenizer.json</c>. It maps a list of texts to
/// another one, what the last one gives is joined; <see cref="DecoderStep"/> does so while tokens come.
/// </summary>
internal abstract class Decoder
{
    /// <summary>The value of <c>type</c> in a file.</summary>
    private protected abstract string Kind { get; }

    /// <summary>Whether it makes one text of all tokens: to what follows, its pieces are parts of one token.</summary>
    public virtual bool Fuses => false;

    /// <summary>Begins a text.</summary>
    public abstract DecoderStep Begin();

    /// <summary>Begins a text that comes as parts of one token.</summary>
    public virtual DecoderStep BeginFused() => new GatheringStep(Begin());

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
}

/// <summary>Steps one after the other.</summary>
internal sealed class DecoderSequence(params IReadOnlyList<Decoder> steps) : Decoder
{
    private protected override string Kind => "Sequence";

    public override bool Fuses => steps.Any(step => step.Fuses);

    public override DecoderStep Begin() => Begin(fused: false);

    public override DecoderStep BeginFused() => Begin(fused: true);

    private StepSequence Begin(bool fused)
    {
        var begun = new DecoderStep[steps.Count];
        for (var i = 0; i < begun.Length; i++)
        {
            begun[i] = fused ? steps[i].BeginFused() : steps[i].Begin();
            fused |= steps[i].Fuses;
        }

        return new StepSequence(begun);
    }

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("decoders");
        foreach (var step in steps) step.Write(writer);
        writer.WriteEndArray();
    }
}
