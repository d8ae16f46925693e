using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Optimizers;

/// <summary>
/// What limiting the length of all gradients, taken as one vector, comes to: <c>g ← g · min(1, maximum / (‖g‖ + 10⁻⁶))</c>.
/// <para>Pascanu, Mikolov, Bengio 2012, <see href="https://arxiv.org/abs/1211.5063"/>, algorithm 1; the 10⁻⁶ is that of
/// PyTorch's <c>clip_grad_norm_</c>.</para>
/// </summary>
/// <param name="Norm">‖g‖ before clipping; NaN or infinite where an element of a gradient is.</param>
/// <param name="Scale">What gradients are to be multiplied by: 1 where they are short enough or not finite, and not too large by a
/// factor.</param>
public readonly record struct GradientClip(double Norm, double Scale)
{
    /// <summary>Whether all gradients are finite. Where they are not, the step is to be skipped.</summary>
    public bool IsFinite => double.IsFinite(Norm);

    /// <summary>Finds norm and scale and leaves the gradients as they are: give <see cref="Scale"/> to
    /// <see cref="Optimizer.Step"/>, which saves a pass over them. Parameters without a gradient count as 0. The sum is taken in
    /// double precision and does not depend on the number of threads.</summary>
    /// <param name="parameters">All parameters that are clipped together, by name.</param>
    /// <param name="maximumNorm">The greatest length allowed, above 0; infinite to measure only.</param>
    /// <param name="factor">How many times too large the gradients are, as under a loss scale: norm and scale are those of
    /// gradients divided by it, and the scale divides them. Above 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The maximum or the factor is not above 0.</exception>
    public static GradientClip Measure(IReadOnlyList<(string Name, Parameter Parameter)> parameters, double maximumNorm, double factor = 1)
    {
        if (!(maximumNorm > 0))
            throw new ArgumentOutOfRangeException(nameof(maximumNorm), maximumNorm, "the maximum norm of gradients must be above 0");
        if (!(factor > 0)) throw new ArgumentOutOfRangeException(nameof(factor), factor, "the factor of gradients must be above 0");
        var squares = 0.0;
        for (var index = 0; index < parameters.Count; index++) squares += GradientSize.Squares(parameters[index].Parameter.Value);
        var norm = Math.Sqrt(squares) / factor;
        return new GradientClip(norm, double.IsFinite(norm) ? Math.Min(1, maximumNorm / (norm + 1e-6)) / factor : 1);
    }
}
