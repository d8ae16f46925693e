using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models.Conversion;

/// <summary>What a source says that its target has no place for, in notes for people. What only says how a file came about is passed
/// over.</summary>
internal static class LostSettings
{
    private const string GenerationFile = "generation_config.json";

    // Who wrote a file and with what; what is written anew under the same or another name; what transformers alone uses to initialise.
    private static readonly HashSet<string> s_ofConfig = new(StringComparer.Ordinal)
    {
        "_name_or_path", "_attn_implementation_autoset", "transformers_version", "architectures", "model_type", "auto_map", "torch_dtype",
        "dtype", "use_cache", "initializer_range", "pretraining_tp", "rope_theta", "rope_scaling", "rope_interleave",
        "partial_rotary_factor", "bos_token_id", "eos_token_id", "pad_token_id", "task_specific_params", "gradient_checkpointing",
    };

    // Ids have places of their own; the rest is about the file.
    private static readonly HashSet<string> s_ofGeneration = new(StringComparer.Ordinal)
    {
        "_from_model_config", "transformers_version", "bos_token_id", "eos_token_id", "pad_token_id", "use_cache",
    };

    private static readonly string[] s_ofMetadata =
    [
        "general.architecture", "general.name", "general.basename", "general.type", "general.file_type", "general.size_label",
        "general.quantization_version", "general.alignment", "general.finetune", "general.version",
    ];

    private static readonly string[] s_ofTokenizer =
        ["tokenizer.chat_template.", "tokenizer.ggml.fim_", "tokenizer.ggml.prefix_", "tokenizer.ggml.suffix_", "tokenizer.ggml.middle_"];

    /// <summary>What a GGUF file does not hold of a source.</summary>
    public static IEnumerable<string> InFile(ModelFolder source)
    {
        if (Length(source) is { } length) yield return length;
        if (source.Family is null || Read(source, GenerationFile) is not { } generation) yield break;
        if (Note(GenerationFile, Saying(generation, s_ofGeneration), "a GGUF file") is { } note) yield return note;
    }

    /// <summary>What a Hugging Face folder does not hold of a source.</summary>
    /// <param name="source">The model.</param>
    /// <param name="config">The configuration that is written.</param>
    public static IEnumerable<string> InFolder(ModelFolder source, JsonObject config)
    {
        const string Folder = "the folder";
        if (Length(source) is { } length) yield return length;
        if (source.Source is GgufFile file)
        {
            var lost = file.Metadata.Keys.Where(key =>
                (key.StartsWith("general.", StringComparison.Ordinal) && !s_ofMetadata.Contains(key))
                || s_ofTokenizer.Any(start => key.StartsWith(start, StringComparison.Ordinal)));
            if (Note("metadata", lost, Folder) is { } metadata) yield return metadata;
        }

        if (source.Family is null || Read(source, HuggingFaceConfig.File) is not { } before) yield break;
        if (Note(HuggingFaceConfig.File, Saying(before, s_ofConfig).Where(key => !config.ContainsKey(key)), Folder) is { } note)
            yield return note;
    }

    private static IEnumerable<string> Saying(HuggingFaceConfig config, HashSet<string> passedOver) =>
        config.Keys.Where(key => !passedOver.Contains(key) && config.Says(key) && !config.IsZero(key));

    private static string? Note(string place, IEnumerable<string> keys, string target)
    {
        var lost = keys.ToList();
        return lost.Count == 0 ? null : $"{target} has no place for what the source's {place} says of {NameList.Of(lost)}";
    }

    /// <summary>A run remembers how long the texts were that it learned from.</summary>
    private static string? Length(ModelFolder source) =>
        source.Family is null && source.Path is not null && source.Config.Length < source.Model.LongestSequence
            ? $"the {source.Config.Length} tokens of the longest text that it was trained on are not kept as a limit of prompts"
            : null;

    private static HuggingFaceConfig? Read(ModelFolder source, string name)
    {
        var path = Path.Combine(source.Path!, name);
        return File.Exists(path) ? HuggingFaceConfig.Load(path) : null;
    }
}
