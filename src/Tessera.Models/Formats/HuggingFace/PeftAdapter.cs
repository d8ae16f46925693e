using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Tensors;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// Low-rank adapters as Hugging Face's PEFT saves them: a folder with <c>adapter_config.json</c> and
/// <c>adapter_model.safetensors</c>, whose tensors are named after the base model's in its own names:
/// <c>base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight</c>.
/// </summary>
public static class PeftAdapter
{
    /// <summary>The name of the file with the options.</summary>
    public const string ConfigFile = "adapter_config.json";

    /// <summary>The name of the file with the weights.</summary>
    public const string WeightsFile = "adapter_model.safetensors";

    private const string Prefix = "base_model.model.";
    private const string Down = ".lora_A.weight";
    private const string Up = ".lora_B.weight";
    private const string Weight = ".weight";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    /// <summary>Whether a folder holds an adapter.</summary>
    public static bool IsIn(string folder) => File.Exists(Path.Combine(folder, ConfigFile));

    /// <summary>The folder or file of the model that an adapter was trained on, from the adapter's own folder.</summary>
    /// <exception cref="InvalidDataException">It does not say, or there is nothing there.</exception>
    public static string BaseOf(string folder)
    {
        var config = HuggingFaceConfig.Load(Path.Combine(folder, ConfigFile));
        var named = config.Text("base_model_name_or_path", "");
        var path = Path.GetFullPath(named, Path.GetFullPath(folder));
        return named.Length > 0 && (Directory.Exists(path) || File.Exists(path))
            ? path
            : throw config.Problem("base_model_name_or_path", $"'{named}'", "a folder or file with the base model, from the adapter's folder");
    }

    /// <summary>Gives the linear maps of a model the adapters of a folder.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The base model.</param>
    /// <param name="names">How its checkpoint names its tensors.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, they do not fit the model, or ask for what is not supported.</exception>
    public static LoraAdapters Load(string folder, Module model, TensorNames names)
    {
        var config = HuggingFaceConfig.Load(Path.Combine(folder, ConfigFile));
        RequireSupported(config);
        using var file = SafetensorsFile.Open(Path.Combine(folder, WeightsFile));
        var (adapters, maps) = (new LoraAdapters(), LoraAdapters.Maps(model));
        foreach (var name in Adapted(file))
        {
            var found = false;
            foreach (var layout in names.Layouts.Values.Where(layout => layout.Theirs is [var only] && only == name + Weight))
            {
                var ours = layout.Ours[..^Weight.Length];
                if (!maps.TryGetValue(ours, out var map) || layout.RowsOf(map.Weight.Shape) is not { } rows) continue;
                adapters.Add(ours, map, Read(file, config, name, map, rows.First, rows.Of));
                found = true;
            }

            if (!found) throw new InvalidDataException($"{file.Path}: adapts '{name}', which is no linear map of the model that can have an adapter");
        }

        return adapters;
    }

    /// <summary>Writes adapters, for PEFT and <see cref="Load"/> to read.</summary>
    /// <param name="folder">The folder; made where it is missing.</param>
    /// <param name="adapters">Of one rank and scale.</param>
    /// <param name="options">What they were made by.</param>
    /// <param name="model">The base model.</param>
    /// <param name="names">How its checkpoint names its tensors.</param>
    /// <param name="baseModel">Where the base model is, from the adapter's folder.</param>
    /// <exception cref="RecipeException">PEFT has no name for a map that was adapted.</exception>
    public static void Save(string folder, LoraAdapters adapters, LoraOptions options, Module model, TensorNames names, string baseModel)
    {
        var writer = new SafetensorsWriter();
        foreach (var (name, parameter) in Tensors(adapters, names)) writer.Add(name, parameter.Value);
        var adapted = adapters.All.Select(own => TheirName(own.Name, own.Adapter, names)).ToList();
        Directory.CreateDirectory(folder);
        writer.Save(Path.Combine(folder, WeightsFile));
        var config = new JsonObject
        {
            ["peft_type"] = "LORA", ["task_type"] = "CAUSAL_LM", ["base_model_name_or_path"] = baseModel, ["r"] = options.Rank,
            ["lora_alpha"] = options.Alpha, ["lora_dropout"] = options.Dropout, ["use_rslora"] = options.RankStabilized, ["use_dora"] = false,
            ["bias"] = "none", ["fan_in_fan_out"] = false, ["inference_mode"] = true, ["init_lora_weights"] = true, ["modules_to_save"] = null,
            ["rank_pattern"] = new JsonObject(), ["alpha_pattern"] = new JsonObject(),
            ["target_modules"] = new JsonArray([.. Targets(adapted, model, names).Select(target => (JsonNode)target)]),
        };
        File.WriteAllText(Path.Combine(folder, ConfigFile), config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }

    /// <summary>The weights of adapters by the names that PEFT gives them.</summary>
    /// <exception cref="RecipeException">It has no name for one.</exception>
    public static IEnumerable<(string Name, Parameter Parameter)> Tensors(LoraAdapters adapters, TensorNames names)
    {
        foreach (var (ours, adapter) in adapters.All)
        {
            var theirs = TheirName(ours, adapter, names);
            yield return (Prefix + theirs + Down, adapter.Down);
            yield return (Prefix + theirs + Up, adapter.Up);
        }
    }

    private static void RequireSupported(HuggingFaceConfig config)
    {
        config.Require(config.Text("peft_type", "") == "LORA", "peft_type", config.Text("peft_type", "missing"), "LORA");
        config.Require(config.Text("bias", "none") == "none", "bias", config.Text("bias", "none"), "none");
        foreach (var key in (string[])["use_dora", "lora_bias", "use_qalora", "use_bdlora"]) config.Require(!config.Truth(key, false), key, "true", "false");
        foreach (var key in (string[])["layer_replication", "modules_to_save", "trainable_token_indices", "target_parameters", "alora_invocation_tokens"])
            config.Require(!config.Has(key), key, "given", "null");
    }

    /// <summary>The maps that a file adapts, by their names; each has both of its tensors.</summary>
    private static List<string> Adapted(SafetensorsFile file)
    {
        var names = new List<string>();
        foreach (var tensor in file.Tensors.Keys)
        {
            var ending = tensor.EndsWith(Down, StringComparison.Ordinal) ? Down : tensor.EndsWith(Up, StringComparison.Ordinal) ? Up : null;
            if (ending is null || !tensor.StartsWith(Prefix, StringComparison.Ordinal))
                throw new InvalidDataException($"{file.Path}: holds '{tensor}'; allowed: {Prefix}…{Down} and {Prefix}…{Up}");
            var name = tensor[Prefix.Length..^ending.Length];
            var other = Prefix + name + (ending == Down ? Up : Down);
            if (!file.Tensors.ContainsKey(other)) throw new InvalidDataException($"{file.Path}: '{tensor}' stands alone; there is no '{other}'");
            if (ending == Down) names.Add(name);
        }

        return names.Count > 0 ? names : throw new InvalidDataException($"{file.Path}: holds no adapter");
    }

    private static LoraAdapter Read(SafetensorsFile file, HuggingFaceConfig config, string name, Linear map, int first, int of)
    {
        var (down, up) = (file[Prefix + name + Down], file[Prefix + name + Up]);
        var rank = down.Shape.Count == 2 ? down.Shape[0] : 0;
        if (rank is < 1 or > int.MaxValue || !down.Shape.SequenceEqual([rank, map.Inputs]) || !up.Shape.SequenceEqual([of, rank]))
        {
            throw new InvalidDataException(
                $"{file.Path}: the adapter of '{name}' has the shapes [{string.Join(", ", down.Shape)}] and [{string.Join(", ", up.Shape)}]; allowed: [r, {map.Inputs}] and [{of}, r]");
        }

        var scale = LoraOptions.Scale(Alpha(config, name), (int)rank, config.Truth("use_rslora", false));
        var adapter = new LoraAdapter(new PartBuilder(map.Inputs, name, default), map.Outputs, (int)rank, scale, (float)config.Number("lora_dropout", 0));
        Fill(adapter.Down, down.Name, 0);
        Fill(adapter.Up, up.Name, first * rank);
        return adapter;

        void Fill(Parameter parameter, string tensor, long offset)
        {
            var values = Tensor.Allocate(parameter.Shape);
            file.ReadFloats(tensor, values.Floats, offset);
            parameter.ReadFrom(() => values);
        }
    }

    /// <summary>α of one map: that of the first pattern that fits the end of its name, as PEFT matches them, or the one of all.</summary>
    private static double Alpha(HuggingFaceConfig config, string name)
    {
        var patterns = config.Object("alpha_pattern");
        foreach (var pattern in patterns?.Keys ?? [])
        {
            try
            {
                if (Regex.IsMatch(name, $@"^(.*\.)?({pattern})$", RegexOptions.CultureInvariant, s_patience)) return patterns!.Number(pattern);
            }
            catch (Exception error) when (error is ArgumentException or RegexMatchTimeoutException)
            {
                throw config.Problem("alpha_pattern", $"'{pattern}'", "regular expressions of names");
            }
        }

        return config.Number("lora_alpha", 8);
    }

    private static string TheirName(string ours, LoraAdapter adapter, TensorNames names)
    {
        var layout = names.Layouts[ours + Weight];
        var isWhole = layout.Theirs is [var only] && only.EndsWith(Weight, StringComparison.Ordinal)
            && layout.RowsOf(new Shape(adapter.Up.Shape[0], adapter.Down.Shape[1])) is { First: 0, Of: var rows } && rows == adapter.Up.Shape[0];
        return isWhole
            ? layout.Theirs[0][..^Weight.Length]
            : throw new RecipeException("lora.targets", $"names '{ours}', which is a part of '{string.Join(", ", layout.Theirs)}' in the family's checkpoints: PEFT cannot adapt it alone");
    }

    /// <summary>The last parts of names where all maps that end so are adapted, else whole names.</summary>
    private static IEnumerable<string> Targets(List<string> adapted, Module model, TensorNames names)
    {
        var all = LoraAdapters.Maps(model).Keys.Select(ours => names.Layouts[ours + Weight].Theirs[0]).Where(theirs => theirs.EndsWith(Weight, StringComparison.Ordinal)).ToList();
        return adapted.Select(name => all.Where(theirs => Last(theirs[..^Weight.Length]) == Last(name)).All(theirs => adapted.Contains(theirs[..^Weight.Length])) ? Last(name) : name).Distinct();

        static string Last(string name) => name[(name.LastIndexOf('.') + 1)..];
    }
}
