using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Nn.Weights;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// Low-rank adapters as Hugging Face's PEFT saves them: a folder with <c>adapter_config.json</c> and
/// <c>adapter_model.safetensors</c>, whose tensors are named after the base model's in its own names:
/// <c>base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight</c>. Those of embeddings are called <c>lora_embedding_A</c>; those
/// of experts have a name for each expert, as PEFT has them where a checkpoint keeps experts apart. Of our own models, which keep them as
/// one tensor, an adapter of experts is one tensor [experts, r, inputs] and one [experts, outputs, r].
/// </summary>
public static class PeftAdapter
{
    /// <summary>The name of the file with the options.</summary>
    public const string ConfigFile = "adapter_config.json";

    /// <summary>The name of the file with the weights.</summary>
    public const string WeightsFile = "adapter_model.safetensors";

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
            : throw config.Problem(
                "base_model_name_or_path", $"'{named}'", "a folder or file with the base model, from the adapter's folder");
    }

    /// <summary>What a folder says of its adapters; their base need not be there, and their numbers are not read.</summary>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or asks for what is not supported.</exception>
    public static AdapterSummary Describe(string folder)
    {
        var config = HuggingFaceConfig.Load(Path.Combine(folder, ConfigFile));
        PeftConfig.RequireSupported(config);
        using var file = OpenWeights(folder);
        var modules = new PeftReader(file, config).Modules();
        var named = config.Text("base_model_name_or_path", "");
        var path = named.Length == 0 ? "" : Path.GetFullPath(named, Path.GetFullPath(folder));
        return new AdapterSummary(
            named.Length == 0 ? "none named" : named, path.Length > 0 && Path.Exists(path),
            config.Names(PeftInitialization.Key) ? config.Shown(PeftInitialization.Key).Trim('"') : "true",
            [.. modules.Select(module => module.Name)],
            [.. modules.Select(module => module.Rank).Distinct().Order()], [.. modules.Select(module => module.Scale).Distinct().Order()]);
    }

    /// <summary>Gives the weights of a model the adapters of a folder.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The base model.</param>
    /// <param name="names">How a checkpoint of it may name its tensors: the first table counts by which the file adapts only what is
    /// there.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, they do not fit the model, or ask for what is not supported.</exception>
    public static LoraAdapters Load(string folder, Module model, params IReadOnlyList<TensorNames> names)
    {
        var config = HuggingFaceConfig.Load(Path.Combine(folder, ConfigFile));
        PeftConfig.RequireSupported(config);
        using var file = OpenWeights(folder);
        var adapters = new LoraAdapters(model);
        var reader = new PeftReader(file, config);
        var table = names.FirstOrDefault(table => reader.Fits(model, table)) ?? names[0];
        foreach (var (name, weight, adapter) in reader.Read(model, table)) adapters.Add(name, weight, adapter);
        return adapters;
    }

    /// <summary>Writes adapters, for PEFT and <see cref="Load"/> to read.</summary>
    /// <param name="folder">The folder; made where it is missing.</param>
    /// <param name="adapters">Of one rank and scale.</param>
    /// <param name="options">What they were made by.</param>
    /// <param name="model">The base model.</param>
    /// <param name="names">How its checkpoint names its tensors.</param>
    /// <param name="baseModel">Where the base model is, from the adapter's folder.</param>
    /// <exception cref="RecipeException">PEFT has no name for a weight that was adapted.</exception>
    public static void Save(string folder, LoraAdapters adapters, LoraOptions options, Module model, TensorNames names, string baseModel)
    {
        var writer = new SafetensorsWriter();
        foreach (var tensor in Tensors(adapters, names)) writer.Add(tensor.Name, tensor.Of(tensor.Parameter.Value.Floats));
        var modules = adapters.All.SelectMany(own => Modules(own.Name, own.Weight, names));
        var adapted = modules.Select(module => module.Name).ToHashSet(StringComparer.Ordinal);
        Directory.CreateDirectory(folder);
        writer.Save(Path.Combine(folder, WeightsFile));
        var config = new JsonObject
        {
            ["peft_type"] = "LORA", ["task_type"] = "CAUSAL_LM", ["base_model_name_or_path"] = baseModel, ["r"] = options.Rank,
            ["lora_alpha"] = options.Alpha, ["lora_dropout"] = options.Dropout, ["use_rslora"] = options.RankStabilized,
            ["use_dora"] = false, ["bias"] = "none", ["fan_in_fan_out"] = false, ["inference_mode"] = true,
            ["init_lora_weights"] = true, ["modules_to_save"] = null,
            ["rank_pattern"] = new JsonObject(), ["alpha_pattern"] = new JsonObject(),
            ["target_modules"] = new JsonArray([.. Targets(adapted, model, names).Select(target => (JsonNode)target)]),
        };
        File.WriteAllText(Path.Combine(folder, ConfigFile), config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }

    /// <summary>Requires that PEFT has a name for each adapter: what cannot be named cannot be saved when it has learned.</summary>
    /// <param name="adapters">The adapters.</param>
    /// <param name="names">How the base model's checkpoint names its tensors.</param>
    /// <exception cref="RecipeException">It has none for one.</exception>
    public static void RequireNames(LoraAdapters adapters, TensorNames names) => _ = Tensors(adapters, names).Count();

    /// <summary>Whether PEFT has a name for each adapter.</summary>
    internal static bool CanName(LoraAdapters adapters, TensorNames names) => adapters.All.All(own =>
        PeftModule.Of(own.Name, own.Weight, names) is { Count: > 0 } modules && modules.All(module => module.IsWhole(own.Weight)));

    /// <summary>The numbers of adapters as PEFT names and lays them out.</summary>
    /// <exception cref="RecipeException">It has no name for one.</exception>
    internal static IEnumerable<PeftTensor> Tensors(LoraAdapters adapters, TensorNames names)
    {
        foreach (var (ours, weight, adapter) in adapters.All)
        {
            foreach (var module in Modules(ours, weight, names))
            {
                var (down, up) = module.TensorsOf(adapter);
                yield return down;
                yield return up;
            }
        }
    }

    /// <summary>The modules of a weight that is to be adapted: all of each, since PEFT cannot adapt a part.</summary>
    private static IReadOnlyList<PeftModule> Modules(string ours, Weight weight, TensorNames names)
    {
        var modules = PeftModule.Of(ours, weight, names);
        if (modules.Count > 0 && modules.All(module => module.IsWhole(weight))) return modules;
        var theirs = string.Join(", ", PeftModule.LayoutOf(ours, names).Theirs);
        throw new RecipeException(
            "lora.targets", $"names '{ours}', which is a part of '{theirs}' in the family's checkpoints: PEFT cannot adapt it alone");
    }

    private static SafetensorsFile OpenWeights(string folder)
    {
        var path = Path.Combine(folder, WeightsFile);
        if (File.Exists(path)) return SafetensorsFile.Open(path);
        ReadableFolder.Require(folder);
        throw new FileNotFoundException(
            $"'{folder}' holds no adapter: there is no {WeightsFile}{ReadableFolder.OtherWeights(folder)}", path);
    }

    /// <summary>The last parts of names where all modules that end so are adapted, else whole names.</summary>
    private static IEnumerable<string> Targets(HashSet<string> adapted, Module model, TensorNames names)
    {
        var modules = model.Weights().SelectMany(own => PeftModule.Of(own.Name, own.Weight, names));
        var all = modules.Select(module => module.Name).Distinct().ToLookup(Last);
        return adapted.Select(name => all[Last(name)].All(adapted.Contains) ? Last(name) : name).Distinct();

        static string Last(string name) => name[(name.LastIndexOf('.') + 1)..];
    }
}

/// <summary>What a folder says of its adapters.</summary>
/// <param name="Base">The base model, as the folder names it.</param>
/// <param name="IsBaseThere">Whether there is something at that place.</param>
/// <param name="Initialization">What the adapters began with.</param>
/// <param name="Modules">The names of the modules that are adapted, as the base's checkpoint has them.</param>
/// <param name="Ranks">The ranks that occur.</param>
/// <param name="Factors">What B A is multiplied by; all that occur.</param>
public sealed record AdapterSummary(
    string Base, bool IsBaseThere, string Initialization, IReadOnlyList<string> Modules, IReadOnlyList<int> Ranks,
    IReadOnlyList<double> Factors);
