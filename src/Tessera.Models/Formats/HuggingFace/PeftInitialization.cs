using System.Globalization;
using System.Numerics.Tensors;
using Tessera.Nn;
using Tessera.Nn.Weights;
using Tessera.Tensors;
using Tensor = Tessera.Tensors.Tensor;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// What <c>init_lora_weights</c> of an adapter does to the base model. Most initializations leave it as it is. <c>pissa</c> takes the part
/// of W of the r largest singular values out of it and begins with that as B A, <c>olora</c> the part along its first r columns; whoever
/// loads such an adapter has to take the same out again, which follows from W alone.
/// <para>Meng et al. 2024 (PiSSA), <see href="https://arxiv.org/abs/2404.02948"/>; Büyükakyüz 2024 (OLoRA),
/// <see href="https://arxiv.org/abs/2406.01775"/>.</para>
/// </summary>
internal sealed class PeftInitialization
{
    /// <summary>The key of the options.</summary>
    public const string Key = "init_lora_weights";

    private const string Pissa = "pissa", FastPissa = "pissa_niter_", Olora = "olora";
    private const string Allowed = "true, false, gaussian, eva, orthogonal, pissa, pissa_niter_N, olora";

    // These begin with what does not follow from W: from examples, gradients, or the rounding to few bits.
    private static readonly string[] s_needMore = ["corda", "loftq", "lora_ga"];
    private static readonly string[] s_keepBase = ["gaussian", "eva", "orthogonal"];

    private readonly Dictionary<string, (double[][] Up, double[][] Down)> _taken = new(StringComparer.Ordinal);
    private readonly string _kind;
    private readonly ILookup<string, (Weight Weight, PeftModule Module)> _weights;

    private PeftInitialization(string kind, ILookup<string, (Weight Weight, PeftModule Module)> weights) =>
        (_kind, _weights) = (kind, weights);

    /// <summary>Whether something is taken out of the base.</summary>
    public bool TakesOut => _kind is Pissa or Olora;

    /// <summary>The initialization that an adapter's options name.</summary>
    /// <param name="config">The options.</param>
    /// <param name="model">The base model.</param>
    /// <param name="names">How its checkpoint names its tensors.</param>
    /// <exception cref="InvalidDataException">It is not known, or needs more than the base model.</exception>
    public static PeftInitialization Of(HuggingFaceConfig config, Module model, TensorNames names)
    {
        var kind = KindOf(config);
        if (kind == Olora) config.Require(!config.Truth("fan_in_fan_out", false), Key, "olora with fan_in_fan_out", Allowed);
        return new PeftInitialization(kind, model.Weights()
            .SelectMany(own => PeftModule.Of(own.Name, own.Weight, names).Select(module => (own.Weight, module)))
            .ToLookup(own => own.module.Name, StringComparer.Ordinal));
    }

    /// <summary>Throws unless an initialization is known and can be done.</summary>
    public static void RequireKnown(HuggingFaceConfig config) => _ = KindOf(config);

    /// <summary>What is taken out of a module's W: B [rank][outputs] and A [rank][inputs], such that B A is it.</summary>
    /// <param name="file">The adapter's file, for messages.</param>
    /// <param name="module">The module's name.</param>
    /// <param name="rank">r.</param>
    /// <param name="scale">What the adapter's B A is multiplied by.</param>
    /// <exception cref="InvalidDataException">W has fewer rows or columns than r, or r of them depend on each other.</exception>
    public (double[][] Up, double[][] Down) Taken(string file, string module, int rank, double scale)
    {
        if (_taken.TryGetValue(module, out var known)) return known;
        var matrix = Matrix(module);
        if (rank > Math.Min(matrix.Length, matrix[0].Length) || scale == 0)
        {
            throw new InvalidDataException(
                $"{file}: the adapter of '{module}' has rank {rank} and factor {scale.ToString(CultureInfo.InvariantCulture)}; allowed for "
                + $"{_kind}: at most {Math.Min(matrix.Length, matrix[0].Length)}, and not 0");
        }

        var taken = _kind == Pissa ? SingularVectors.Truncated(matrix, rank) : AlongFirstColumns(file, module, matrix, rank, scale);
        _taken.Add(module, taken);
        return taken;
    }

    private static string KindOf(HuggingFaceConfig config)
    {
        if (!config.IsText(Key)) return config.Truth(Key, true).ToString();
        var name = config.Text(Key, "").ToLowerInvariant();
        // Whose fast form finds the same, but for what its iterations leave.
        var isFast = name.StartsWith(FastPissa, StringComparison.Ordinal)
            && int.TryParse(name[FastPissa.Length..], CultureInfo.InvariantCulture, out _);
        if (name == Pissa || isFast) return Pissa;
        if (name == Olora || s_keepBase.Contains(name)) return name;
        throw config.Problem(Key, $"'{name}'", s_needMore.Contains(name)
            ? $"{Allowed}; {name} changes the base model by more than follows from it: merge the adapter with PEFT (merge_and_unload)"
            : Allowed);
    }

    /// <summary>W of a module, all rows of it, of which several weights of ours may have some each.</summary>
    private double[][] Matrix(string module)
    {
        var parts = _weights[module].ToList();
        var rows = new double[parts[0].Module.Rows.Of][];
        foreach (var (weight, part) in parts)
        {
            var numbers = Numbers(weight);
            var (height, width) = (weight.Outputs, weight.Inputs);
            var start = (part.Rows.Group ?? 0) * height * width;
            for (var row = 0; row < height; row++)
            {
                var wide = rows[part.Rows.First + row] = new double[width];
                TensorPrimitives.ConvertTruncating<float, double>(numbers.Floats.Slice(start + (row * width), width), wide);
            }

            GC.KeepAlive(numbers); // a span does not keep its memory
        }

        return Array.TrueForAll(rows, row => row is not null)
            ? rows
            : throw new InvalidDataException($"the model has only some of the rows of '{module}', which its adapter's {Key} needs all of");
    }

    private static Tensor Numbers(Weight weight)
    {
        var stored = weight.Form.Parameters.Single().Parameter.Peek();
        if (stored.Type == ElementType.F32) return stored;
        var wide = Tensor.Allocate(stored.Shape);
        Op.Convert(stored, wide);
        return wide;
    }

    /// <summary>Q R of the first columns of Q and rows of R of W = Q R, by modified Gram-Schmidt: what of W lies along its first
    /// columns. PEFT takes s times that out.</summary>
    private static (double[][] Up, double[][] Down) AlongFirstColumns(string file, string module, double[][] matrix, int rank, double scale)
    {
        double[][] directions = [.. Enumerable.Range(0, rank).Select(column => matrix.Select(row => row[column]).ToArray())];
        for (var column = 0; column < rank; column++)
        {
            var direction = directions[column];
            var before = Math.Sqrt(TensorPrimitives.Dot<double>(direction, direction));
            for (var pass = 0; pass < 2; pass++)
            {
                foreach (var other in directions.AsSpan(0, column))
                    TensorPrimitives.MultiplyAdd<double>(other, -TensorPrimitives.Dot<double>(other, direction), direction, direction);
            }

            var length = Math.Sqrt(TensorPrimitives.Dot<double>(direction, direction));
            if (length <= 1e-9 * before || length == 0)
                throw new InvalidDataException(
                    $"{file}: column {column} of '{module}' depends on those before it, so that what olora began with cannot be told");
            TensorPrimitives.Divide<double>(direction, length, direction);
        }

        double[][] rows = [.. directions.Select(direction =>
        {
            var sum = new double[matrix[0].Length];
            for (var row = 0; row < matrix.Length; row++)
                TensorPrimitives.MultiplyAdd<double>(matrix[row], direction[row] * scale, sum, sum);
            return sum;
        })];
        return (directions, rows);
    }
}
