using System.Text.RegularExpressions;
using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>Reads the adapters of a model's weights from a file of PEFT's.</summary>
/// <param name="file">The weights.</param>
/// <param name="config">The options.</param>
internal sealed class PeftReader(SafetensorsFile file, HuggingFaceConfig config)
{
    /// <summary>PEFT writes the weights of an embedding beside its adapter, as they are in the base model.</summary>
    private const string Base = ".base_layer.weight";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    /// <summary>Whether all that the file adapts is a model's by the names of a table.</summary>
    public bool Fits(Module model, TensorNames names)
    {
        var theirs = model.Weights().SelectMany(own => PeftModule.Of(own.Name, own.Weight, names)).Select(module => module.Name);
        return Adapted().Keys.ToHashSet(StringComparer.Ordinal).IsSubsetOf(theirs.ToHashSet(StringComparer.Ordinal));
    }

    /// <summary>The modules that the file adapts, with the rank and the factor of each, by the header alone.</summary>
    public IReadOnlyList<(string Name, int Rank, double Scale)> Modules()
    {
        return [.. Adapted().Select(module =>
        {
            var shape = file[PeftModule.Prefix + module.Key + PeftModule.DownOf(module.Value)].Shape;
            var rank = (int)Math.Min(int.MaxValue, shape.Count >= 2 ? shape[^2] : 0);
            RequireConfigured(module.Key, rank);
            return (module.Key, rank, rank == 0 ? 0 : LoraOptions.Scale(Alpha(module.Key), rank, config.Truth("use_rslora", false)));
        })];
    }

    /// <summary>Reads all adapters.</summary>
    /// <param name="model">The base model.</param>
    /// <param name="names">How its checkpoint names its tensors.</param>
    /// <exception cref="InvalidDataException">The file adapts something else, or they do not fit.</exception>
    public IReadOnlyList<(string Name, Weight Weight, LoraAdapter Adapter)> Read(Module model, TensorNames names)
    {
        var adapted = Adapted();
        var initialization = PeftInitialization.Of(config, model, names);
        var left = adapted.Keys.ToHashSet(StringComparer.Ordinal);
        var read = new List<(string Name, Weight Weight, LoraAdapter Adapter)>();
        foreach (var (name, weight) in model.Weights())
        {
            List<PeftModule> modules = [.. PeftModule.Of(name, weight, names)
                .Where(module => adapted.TryGetValue(module.Name, out var isTable) && isTable == module.IsTable)];
            if (modules.Count == 0) continue;
            foreach (var module in modules) RequireBase(module, weight);
            read.Add((name, weight, Read(weight, modules, initialization)));
            left.ExceptWith(modules.Select(module => module.Name));
        }

        return left.Count == 0
            ? read
            : throw new InvalidDataException(
                $"{file.Path}: adapts '{left.First()}', which is no weight of the model that can have such an adapter");
    }

    /// <summary>The modules that the file adapts, and whether as embeddings; each has both of its tensors.</summary>
    private Dictionary<string, bool> Adapted()
    {
        var modules = new Dictionary<string, bool>(StringComparer.Ordinal);
        foreach (var tensor in file.Tensors.Keys)
        {
            var (ending, isTable) = Ending(tensor);
            if (ending is null || !tensor.StartsWith(PeftModule.Prefix, StringComparison.Ordinal))
            {
                var allowed = $"{PeftModule.Prefix}…{PeftModule.DownOf(false)} and {PeftModule.Prefix}…{PeftModule.UpOf(false)}";
                throw new InvalidDataException($"{file.Path}: holds '{tensor}'; allowed: {allowed}");
            }

            if (ending == Base) continue;
            var name = tensor[PeftModule.Prefix.Length..^ending.Length];
            var isDown = ending == PeftModule.DownOf(isTable);
            var other = PeftModule.Prefix + name + (isDown ? PeftModule.UpOf(isTable) : PeftModule.DownOf(isTable));
            if (!file.Tensors.ContainsKey(other))
                throw new InvalidDataException($"{file.Path}: '{tensor}' stands alone; there is no '{other}'");
            modules[name] = isTable;
        }

        return modules.Count > 0 ? modules : throw new InvalidDataException($"{file.Path}: holds no adapter");
    }

    private static (string? Ending, bool IsTable) Ending(string tensor)
    {
        foreach (var isTable in (ReadOnlySpan<bool>)[false, true])
            foreach (var ending in (ReadOnlySpan<string>)[PeftModule.DownOf(isTable), PeftModule.UpOf(isTable)])
                if (tensor.EndsWith(ending, StringComparison.Ordinal)) return (ending, isTable);
        return (tensor.EndsWith(Base, StringComparison.Ordinal) ? Base : null, false);
    }

    /// <summary>The adapter of a weight that is one module, or several, all of one rank and factor; what is not adapted stays 0. Where the
    /// adapter began with a part of the base, it gets twice the rank: that part is taken out by its second half.</summary>
    private LoraAdapter Read(Weight weight, List<PeftModule> modules, PeftInitialization initialization)
    {
        LoraAdapter? adapter = null;
        float[] down = [], up = [];
        foreach (var module in modules)
        {
            var rank = RankOf(module, weight);
            var scale = LoraOptions.Scale(Alpha(module.Name), rank, config.Truth("use_rslora", false));
            if (adapter is null)
            {
                var part = new PartBuilder(weight.Inputs, module.Name, default);
                adapter = new LoraAdapter(part, weight.Shape, rank, scale, (float)config.Number("lora_dropout", 0));
                (down, up) = (new float[adapter.Down.Shape.Count], new float[adapter.Up.Shape.Count]);
            }

            if (adapter.Rank != rank || adapter.Scale != scale)
            {
                throw new InvalidDataException(
                    $"{file.Path}: the adapter of '{module.Name}' has rank {rank} and factor {scale}; "
                    + $"allowed: {adapter.Rank} and {adapter.Scale}, as '{modules[0].Name}', another part of the same weight");
            }

            var (a, b) = module.TensorsOf(adapter);
            a.Set(Numbers(a, 0), module.IsTable ? up : down);
            b.Set(Numbers(b, module.Rows.First * rank), module.IsTable ? down : up);
        }

        if (initialization.TakesOut && !weight.IsTable)
            (adapter, down, up) = WithoutTaken(weight, modules, adapter!, down, up, initialization);
        Fill(adapter!.Down, down);
        Fill(adapter.Up, up);
        return adapter;

        static void Fill(Parameter parameter, float[] values) => parameter.ReadFrom(() =>
        {
            var tensor = Tensor.Allocate(parameter.Shape);
            values.CopyTo(tensor.Floats);
            return tensor;
        });
    }

    /// <summary>W + s B A − B₀ A₀ as an adapter of W: [A; A₀] and [B, −B₀ / s].</summary>
    private (LoraAdapter Adapter, float[] Down, float[] Up) WithoutTaken(
        Weight weight, List<PeftModule> modules, LoraAdapter narrow, float[] down, float[] up, PeftInitialization initialization)
    {
        var (rank, inputs, outputs) = (narrow.Rank, weight.Inputs, weight.Outputs);
        var part = new PartBuilder(inputs, modules[0].Name, default);
        var wide = new LoraAdapter(part, weight.Shape, 2 * rank, narrow.Scale, narrow.Dropout);
        var (wideDown, wideUp) = (new float[2 * down.Length], new float[2 * up.Length]);
        for (var group = 0; group < weight.Groups; group++)
            down.AsSpan(group * rank * inputs, rank * inputs).CopyTo(wideDown.AsSpan(group * 2 * rank * inputs));
        for (var row = 0; row < weight.Groups * outputs; row++)
            up.AsSpan(row * rank, rank).CopyTo(wideUp.AsSpan(row * 2 * rank));
        foreach (var module in modules)
        {
            var taken = initialization.Taken(file.Path, module.Name, rank, narrow.Scale);
            var group = module.Rows.Group ?? 0;
            for (var index = 0; index < rank; index++)
            {
                var place = ((group * 2 * rank) + rank + index) * inputs;
                for (var column = 0; column < inputs; column++) wideDown[place + column] = (float)taken.Down[index][column];
                for (var row = 0; row < outputs; row++)
                {
                    var number = -taken.Up[index][module.Rows.First + row] / narrow.Scale;
                    wideUp[(((group * outputs) + row) * 2 * rank) + rank + index] = (float)number;
                }
            }
        }

        return (wide, wideDown, wideUp);
    }

    private float[] Numbers(PeftTensor tensor, long offset)
    {
        var numbers = new float[tensor.Shape.Count];
        file.ReadFloats(tensor.Name, numbers, offset);
        return numbers;
    }

    /// <summary>r, by the shapes of both tensors.</summary>
    private int RankOf(PeftModule module, Weight weight)
    {
        var name = PeftModule.Prefix + module.Name;
        var (down, up) = (file[name + PeftModule.DownOf(module.IsTable)], file[name + PeftModule.UpOf(module.IsTable)]);
        var groups = weight.Shape.Rank == 3 && module.Rows.Group is null ? new long[] { weight.Groups } : [];
        var (inputs, outputs) = module.IsTable ? (weight.Outputs, weight.Inputs) : (weight.Inputs, module.Rows.Of);
        var rank = down.Shape.Count == groups.Length + 2 ? down.Shape[groups.Length] : 0;
        var fits = down.Shape.SequenceEqual([.. groups, rank, inputs]) && up.Shape.SequenceEqual([.. groups, outputs, rank]);
        if (fits && rank is >= 1 and <= int.MaxValue)
        {
            RequireConfigured(module.Name, (int)rank);
            return (int)rank;
        }

        var each = string.Concat(groups.Select(size => $"{size}, "));
        throw new InvalidDataException(
            $"{file.Path}: the adapter of '{module.Name}' has the shapes [{string.Join(", ", down.Shape)}] and "
            + $"[{string.Join(", ", up.Shape)}]; allowed: [{each}r, {inputs}] and [{each}{outputs}, r]");
    }

    /// <summary>The rank that the options say must be that of the tensors: the factor, α/r, follows from it.</summary>
    private void RequireConfigured(string name, int rank)
    {
        if (Matching("rank_pattern", name) is (var patterns, var pattern))
            patterns.Require(
                patterns.Whole(pattern) == rank, pattern, patterns.Shown(pattern), $"{rank}, the rank of the tensors of '{name}'");
        else if (config.Has("r"))
            config.Require(config.Whole("r") == rank, "r", config.Shown("r"), $"{rank}, the rank of the tensors of '{name}'");
    }

    /// <summary>Weights that came with an adapter must be the model's: an adapter of others would give something else.</summary>
    private void RequireBase(PeftModule module, Weight weight)
    {
        var name = PeftModule.Prefix + module.Name + Base;
        if (!file.Tensors.TryGetValue(name, out var stored)) return;
        var ours = weight.Form is StoredForm { Parameter: var parameter } ? parameter.Peek() : null;
        if (ours is null || ours.Type.BlockElements() > 1 || !stored.IsReal) return; // nothing exact to compare with
        var same = stored.Shape.SequenceEqual(ours.Shape.AsSpan().ToArray().Select(size => (long)size)) && IsSame(name, ours);
        if (same) return;
        throw new InvalidDataException(
            $"{file.Path}: '{name}' is not as in the base model; adapters of embeddings that were resized or trained cannot be used");
    }

    private bool IsSame(string name, Tensor ours)
    {
        var (width, row) = (ours.Shape.Width, new float[ours.Shape.Width]);
        for (var index = 0; index < ours.Shape[0]; index++)
        {
            using var scope = Arena.Current.Scope();
            file.ReadFloats(name, row, (long)index * width);
            if (!Op.Embedding(Tensor.From([index], [1]), ours).Floats.SequenceEqual(row)) return false;
        }

        return true;
    }

    /// <summary>α of a module: that of the first pattern that fits, or the one of all.</summary>
    private double Alpha(string name) =>
        Matching("alpha_pattern", name) is (var patterns, var pattern) ? patterns.Number(pattern) : config.Number("lora_alpha", 8);

    /// <summary>The first pattern that fits the end of a module's name, as PEFT matches them, and the object it is a key of.</summary>
    private (HuggingFaceConfig Patterns, string Pattern)? Matching(string key, string name)
    {
        var patterns = config.Object(key);
        foreach (var pattern in patterns?.Keys ?? [])
        {
            try
            {
                if (Regex.IsMatch(name, $@"^(.*\.)?({pattern})$", RegexOptions.CultureInvariant, s_patience)) return (patterns!, pattern);
            }
            catch (Exception error) when (error is ArgumentException or RegexMatchTimeoutException)
            {
                throw config.Problem(key, $"'{pattern}'", "regular expressions of names");
            }
        }

        return null;
    }
}
