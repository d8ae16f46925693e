using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Conversion;

/// <summary>Writes a model with its tokenizer as a GGUF file.</summary>
internal static class GgufTarget
{
    private const string NameKey = "general.name", TokenizerKeys = "tokenizer.";

    // What describes the weights that are written, whatever the source says.
    private static readonly string[] s_ownKeys =
        [GgufArchitecture.Key, GgufFile.AlignmentKey, "general.type", "general.file_type", "general.quantization_version", NameKey];

    public static ConversionResult Write(ConversionSource source, string target, ConversionOptions options, CancellationToken cancellation)
    {
        var folder = source.Folder;
        if (source.Options is not DecoderOptions decoder || !folder.Model.Generates)
            throw new InvalidDataException(
                $"'{source.Path}' cannot be a GGUF file: {folder.Model.WhatItIs}; allowed: decoders with a head of tokens");
        var notes = GgufArchitectures.For(decoder).Notes(decoder).ToList();
        var writer = GgufModel.Writer(decoder, folder.Model, options.Type, (source.Tensors, source.Names));
        writer.Metadata[NameKey] = GgufValue.Of(source.Name);
        if (source.Tensors is GgufFile file) CopyMetadata(file, writer);
        else AddTokenizer(folder, writer, options, notes);
        if (Path.GetDirectoryName(Path.GetFullPath(target)) is { } parent) Directory.CreateDirectory(parent);
        writer.Save(target, options.Progress, cancellation);
        using var written = GgufFile.Open(target);
        if (options.Type is { } wanted && wanted.BlockElements() > 1 && OfOtherTypes(written, wanted) is { } note) notes.Add(note);
        return new ConversionResult(
            $"gguf {written.Text(GgufArchitecture.Key)}", written.Tensors.Count, written.Tensors.Values.Sum(tensor => tensor.ByteCount),
            notes);
    }

    /// <summary>Says which matrices are of another type than was asked for, since their rows are not whole blocks of it; null where none
    /// is.</summary>
    private static string? OfOtherTypes(GgufFile written, ElementType wanted)
    {
        var others = written.Tensors.Values.Where(
            tensor => tensor.Shape.Count > 1 && tensor.Element != wanted && tensor.Shape[^1] % wanted.BlockElements() != 0).ToList();
        if (others.Count == 0) return null;
        var types = string.Join(", ", others.Select(tensor => tensor.Type).Distinct().Order(StringComparer.Ordinal));
        return $"rows of {others.Count} matrices are not multiples of {wanted.BlockElements()}, the block of {wanted}: they are {types}";
    }

    /// <summary>Takes over what a source says of itself in general, and its tokenizer as it is.</summary>
    private static void CopyMetadata(GgufFile file, GgufWriter writer)
    {
        foreach (var (key, value) in file.Metadata)
        {
            var isKept = key.StartsWith(TokenizerKeys, StringComparison.Ordinal) || key == NameKey
                || (key.StartsWith("general.", StringComparison.Ordinal) && !s_ownKeys.Contains(key));
            if (isKept) writer.Metadata[key] = value;
        }
    }

    private static void AddTokenizer(ModelFolder folder, GgufWriter writer, ConversionOptions options, List<string> notes)
    {
        if (!folder.HasTokenizer)
        {
            GgufText.WriteNone(writer.Metadata);
            notes.Add("the source has no tokenizer, so the file has none");
            return;
        }

        var vocabulary = GgmlVocabulary.Of(folder.Tokenizer, options.PreTokenizer);
        if (vocabulary.Tokens.Count > folder.Model.Vocabulary)
            throw new InvalidDataException($"the tokenizer has {vocabulary.Tokens.Count} tokens, the model only {folder.Model.Vocabulary}");
        var format = folder.PromptFormat;
        if (format.ReadsPairs) notes.Add("the model was trained on pairs: end each prompt with a line break, which the file cannot say");
        vocabulary = vocabulary.PaddedTo(folder.Model.Vocabulary) with
        {
            BeginId = format.BosToken ?? Named("bos_token") ?? vocabulary.BeginId,
            EndId = Named("eos_token") ?? (format.StopTokens is [var end, ..] ? end : vocabulary.EndId),
            AddsBegin = format.BosToken is not null ? true : vocabulary.AddsBegin,
        };
        GgufTokenizer.Write(vocabulary, writer.Metadata);
        if (GgufText.Write(format, vocabulary.EndId, writer.Metadata) is { } lost) notes.Add(lost);

        int? Named(string role) => format.ChatVariables[role] is { } name ? folder.Tokenizer.Find(name.GetValue<string>()) : null;
    }
}
