using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>What a part is built with besides its options: the width it works at, its place in the recipe (for error
/// messages), and the random sequence its weights start from.</summary>
/// <param name="Width">The size of the vectors that go in and come out.</param>
/// <param name="Path">The part's place in the recipe, such as <c>model.decoder.attention</c>.</param>
/// <param name="Random">Where initial weights come from; a part's weights do not depend on its neighbours.</param>
/// <param name="Depth">How many parts add to the same residual stream; the last map of each starts 1/√depth smaller, so
/// that the stream does not grow with depth (Radford et al. 2019, GPT-2).</param>
/// <param name="Length">The longest sequence the model is meant for, in tokens: what defaults of windows and blocks follow from.</param>
public sealed record PartBuilder(int Width, string Path, CounterRandom Random, int Depth = 1, int Length = PartBuilder.UsualLength)
{
    /// <summary>The length of a model that does not say its own.</summary>
    public const int UsualLength = 2048;

    /// <summary>Weights that are drawn are F32, and a tensor has less than 2 GiB; those of a file may take fewer bytes each.</summary>
    private const int MaxDrawn = int.MaxValue / sizeof(float);

    /// <summary>Position encodings that several layers of a stack share; null outside of a stack.</summary>
    internal Dictionary<PositionOptions, PositionEncoding>? SharedPositions { get; init; }

    /// <summary>The deviation of the initial weights of the last map of a part that adds to the stream.</summary>
    /// <param name="inputs">The width of what the map reads.</param>
    public double OutputDeviation(int inputs) => 1 / Math.Sqrt((double)inputs * Depth);

    /// <summary>The builder of a child part.</summary>
    /// <param name="key">The child's key in the recipe.</param>
    public PartBuilder At(string key) => this with { Path = $"{Path}.{key}", Random = Random.Derive(key) };

    /// <summary>The builder of one of several equal children, which share a place in the recipe but not their weights.</summary>
    public PartBuilder Number(int index) => this with { Random = Random.Derive((ulong)index) };

    /// <summary>Throws unless the option's value is allowed.</summary>
    /// <param name="condition">Whether it is.</param>
    /// <param name="key">The option's key in the recipe.</param>
    /// <param name="found">Its value.</param>
    /// <param name="allowed">What would be allowed, in words.</param>
    /// <exception cref="RecipeException">It is not.</exception>
    public void Require(bool condition, string key, object? found, string allowed)
    {
        if (!condition) throw new RecipeException($"{Path}.{key}", $"is {found ?? "missing"}; allowed: {allowed}");
    }

    /// <summary>A weight matrix, drawn from a normal distribution of deviation 1/√columns unless said otherwise.</summary>
    /// <param name="name">What its random numbers are derived from.</param>
    /// <param name="rows">The width of what it gives.</param>
    /// <param name="columns">The width of what it reads.</param>
    /// <param name="deviation">Of the weights.</param>
    /// <param name="mayBeStored">See <see cref="Parameter.MayBeStored"/>.</param>
    public Parameter Matrix(string name, int rows, int columns, double? deviation = null, bool mayBeStored = false) =>
        Normal(name, [rows, columns], deviation ?? 1 / Math.Sqrt(columns), mayBeStored);

    /// <summary>A weight tensor drawn from a normal distribution when it is first touched; its numbers depend on the part and the
    /// name alone.</summary>
    /// <exception cref="RecipeException">It would have 2³¹ elements or more; when it is touched, 2²⁹ or more.</exception>
    public Parameter Normal(string name, Shape shape, double deviation, bool mayBeStored = false)
    {
        RequireCount(name, shape, int.MaxValue);
        var random = Random.Derive(name);
        return new Parameter(shape, decays: true, isTrained: true, () =>
        {
            RequireCount(name, shape, MaxDrawn);
            return Initial.Normal(shape, random, deviation);
        }) { MayBeStored = mayBeStored };
    }

    /// <summary>A vector of equal numbers, free of weight decay: a bias or the scale of a norm.</summary>
    public static Parameter Constant(int length, float value) =>
        new([length], decays: false, isTrained: true, () => Initial.Constant([length], value));

    /// <summary>A vector of equal numbers for each of several alike parts, [count, length], free of weight decay.</summary>
    /// <exception cref="RecipeException">It would have 2³¹ elements or more; when it is touched, 2²⁹ or more.</exception>
    public Parameter Constants(string name, int count, int length, float value)
    {
        Shape shape = [count, length];
        RequireCount(name, shape, int.MaxValue);
        return new Parameter(shape, decays: false, isTrained: true, () =>
        {
            RequireCount(name, shape, MaxDrawn);
            return Initial.Constant(shape, value);
        });
    }

    /// <summary>A vector of zeros that is saved with the weights but has no gradient: its part changes it, or nobody does.</summary>
    public static Parameter Untrained(int length) => new([length], decays: false, isTrained: false, () => Tensor.Allocate([length]));

    private void RequireCount(string name, Shape shape, int max)
    {
        if (shape.Count > max) throw new RecipeException($"{Path}.{name}", $"would be {shape}; allowed: at most {max} weights");
    }
}
