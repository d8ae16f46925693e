using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
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

    /// <summary>Writes a model.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="name">What people call it.</param>
    /// <param name="weights">The tensors that its weights still are, to be copied without being held; null where they have changed.</param>
    /// <param name="target">The file.</param>
    /// <param name="options">How to write.</param>
    /// <param name="cancellation">Stops it.</param>
    public static ConversionResult Write(
        ModelFolder folder, string name, (TensorSource Tensors, TensorNames Names)? weights, string target, ConversionOptions options,
        CancellationToken cancellation)
    {
        if (folder.Config.Model is not DecoderOptions decoder || !folder.Model.Generates)
            throw new InvalidDataException(
                $"'{folder.Origin}' cannot be a GGUF file: {folder.Model.WhatItIs}; allowed: decoders with a head of tokens");
        var architecture = folder.Family?.GgufArchitecture ?? (folder.Source is GgufFile from ? GgufArchitectures.Of(from).Name : null);
        List<string> notes = [.. GgufArchitectures.For(decoder, architecture).Notes(decoder), .. LostSettings.InFile(folder)];
        var writer = GgufModel.Writer(decoder, folder.Model, options.Type, weights, architecture);
        writer.Metadata[NameKey] = GgufValue.Of(name);
        if (FeedForwardWidth(folder, writer) is { } width) writer.Metadata[FeedForwardKey(writer)] = width;
        if (folder.Source is GgufFile file) CopyMetadata(file, writer);
        else AddTokenizer(folder, writer, options, notes);
        if (folder.Adapters is not null && folder.PromptFormat.ChatTemplate is { } learned)
            GgufText.WriteTemplate(learned, writer.Metadata);
        if (folder.PromptFormat.ReadsPairs)
            notes.Add("the model was trained on pairs: end each prompt with a line break, which the file cannot say");
        if (Path.GetDirectoryName(Path.GetFullPath(target)) is { } parent) Directory.CreateDirectory(parent);
        writer.Save(target, options.Progress, cancellation);
        using var written = GgufFile.Open(target);
        if (options.Type is { } wanted && wanted.BlockElements() > 1 && OfOtherTypes(written, wanted) is { } note) notes.Add(note);
        return new ConversionResult(
            $"gguf {written.Text(GgufArchitecture.Key)}", written.Tensors.Count, written.Tensors.Values.Sum(tensor => tensor.ByteCount),
            notes);
    }

    /// <summary>The width that a source names of dense layers, also where it has none: then llama.cpp's converter writes it all the
    /// same.</summary>
    private static GgufValue? FeedForwardWidth(ModelFolder folder, GgufWriter writer)
    {
        if (folder.Source is GgufFile file) return file.Metadata.GetValueOrDefault(FeedForwardKey(writer));
        if (folder.Family is null) return null;
        var config = HuggingFaceConfig.Load(Path.Combine(folder.Path!, HuggingFaceConfig.File));
        return config.Has("intermediate_size") ? GgufValue.Of((uint)config.Whole("intermediate_size")) : null;
    }

    private static string FeedForwardKey(GgufWriter writer) => $"{writer.Metadata[GgufArchitecture.Key].Content}.{GgufArchitecture.Hidden}";

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
        vocabulary = Within(vocabulary, folder, notes);
        var format = folder.PromptFormat;
        vocabulary = vocabulary.PaddedTo(folder.Model.Vocabulary) with
        {
            BeginId = format.BosToken ?? vocabulary.BeginId,
            EndId = Named(folder.Tokenizer.NamedRoles.End) ?? (format.StopTokens is [var end, ..] ? end : vocabulary.EndId),
            AddsBegin = format.BosToken is not null ? true : vocabulary.AddsBegin,
        };
        GgufTokenizer.Write(vocabulary, writer.Metadata);
        if (GgufText.Write(format, folder.Tokenizer, vocabulary.EndId, writer.Metadata) is { } lost) notes.Add(lost);

        int? Named(string? token) => token is null ? null : folder.Tokenizer.Find(token);
    }

    /// <summary>The vocabulary without added tokens that the model has no rows for, and a note on them.</summary>
    /// <exception cref="InvalidDataException">Others have none.</exception>
    private static GgmlVocabulary Within(GgmlVocabulary vocabulary, ModelFolder folder, List<string> notes)
    {
        var (rows, added) = (folder.Model.Vocabulary, folder.Tokenizer.AddedTokens.Select(token => token.Id).ToHashSet());
        if (vocabulary.Tokens.Count <= rows) return vocabulary;
        if (!Enumerable.Range(rows, vocabulary.Tokens.Count - rows).All(added.Contains))
            throw new InvalidDataException($"the tokenizer has {vocabulary.Tokens.Count} tokens, the model only {rows}");
        notes.Add($"tokens that the model has no rows for are left out: {string.Join(", ", vocabulary.Tokens.Skip(rows))}");
        return vocabulary.CutTo(rows);
    }
}
