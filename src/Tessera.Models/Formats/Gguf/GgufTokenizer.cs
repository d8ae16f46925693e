using Tessera.Text.Tokenizers;

namespace Tessera.Models.Formats.Gguf;

/// <summary>Reads the tokenizer inside a GGUF file, from its keys <c>tokenizer.ggml.*</c>.</summary>
public static class GgufTokenizer
{
    private const string Keys = "tokenizer.ggml.";

    /// <summary>Makes the tokenizer of a file that is open.</summary>
    /// <exception cref="InvalidDataException">
    /// The file has none, or one that is damaged or not supported; the message names the file, the key, what was found
    /// and what is allowed.
    /// </exception>
    public static Tokenizer Read(GgufFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var model = file.Text(Keys + "model")
            ?? throw new InvalidDataException($"{file.Path}: there is no '{Keys}model', so the file holds no tokenizer");
        var vocabulary = new GgmlVocabulary(model, Items<string>("tokens", GgufValueType.String))
        {
            PreTokenizer = file.Text(Keys + "pre"),
            Scores = [.. Items<double>("scores", GgufValueType.F32).Select(score => (float)score)],
            TokenTypes = [.. Items<long>("token_type", GgufValueType.I32).Select(type => (int)type)],
            Merges = file.Metadata.ContainsKey(Keys + "merges") ? Items<string>("merges", GgufValueType.String) : null,
            BeginId = Id("bos_token_id"),
            EndId = Id("eos_token_id"),
            PaddingId = Id("padding_token_id"),
            UnknownId = Id("unknown_token_id"),
            AddsBegin = file.Truth(Keys + "add_bos_token"),
            AddsEnd = file.Truth(Keys + "add_eos_token"),
            AddsBlank = file.Truth(Keys + "add_space_prefix"),
        };
        return vocabulary.ToTokenizer(file.Path);

        int? Id(string key) => file.Whole(Keys + key) is not { } id ? null
            : id is >= 0 and <= int.MaxValue ? (int)id
            : throw new InvalidDataException($"{file.Path}: metadata '{Keys}{key}' is {id}; allowed: 0 to {int.MaxValue}");

        IReadOnlyList<T> Items<T>(string key, GgufValueType type)
        {
            if (!file.Metadata.TryGetValue(Keys + key, out var value)) return [];
            return value.Type == GgufValueType.Array && value.ItemType == type
                ? [.. value.Items.Cast<T>()]
                : throw new InvalidDataException(
                    $"{file.Path}: metadata '{Keys}{key}' is {value} ({value.Type}); expected an array of {type}");
        }
    }

    /// <summary>Writes a vocabulary among the metadata of a file.</summary>
    /// <param name="vocabulary">As many tokens as the model has rows for.</param>
    /// <param name="metadata">Takes the keys.</param>
    public static void Write(GgmlVocabulary vocabulary, IDictionary<string, GgufValue> metadata)
    {
        Set("model", GgufValue.Of(vocabulary.Model));
        if (vocabulary.PreTokenizer is { } pre) Set("pre", GgufValue.Of(pre));
        Set("tokens", GgufValue.Of(vocabulary.Tokens));
        if (vocabulary.Scores.Count > 0) Set("scores", GgufValue.Of(vocabulary.Scores));
        if (vocabulary.TokenTypes.Count > 0) Set("token_type", GgufValue.Of(vocabulary.TokenTypes));
        if (vocabulary.Merges is { } merges) Set("merges", GgufValue.Of(merges));
        SetId("bos_token_id", vocabulary.BeginId);
        SetId("eos_token_id", vocabulary.EndId);
        SetId("padding_token_id", vocabulary.PaddingId);
        SetId("unknown_token_id", vocabulary.UnknownId);
        SetTruth("add_bos_token", vocabulary.AddsBegin);
        SetTruth("add_eos_token", vocabulary.AddsEnd);
        SetTruth("add_space_prefix", vocabulary.AddsBlank);

        void Set(string key, GgufValue value) => metadata[Keys + key] = value;

        void SetId(string key, int? id)
        {
            if (id is { } known) Set(key, GgufValue.Of((uint)known));
        }

        void SetTruth(string key, bool? truth)
        {
            if (truth is { } known) Set(key, GgufValue.Of(known));
        }
    }
}
