using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>
/// Experts that every token visits, as one wide feed-forward whose hidden units lie expert by expert: since the last map is
/// linear, <c>Σ g_s W_s h_s</c> is one product of all W_s with the hidden units scaled by their expert's gate.
/// </summary>
internal sealed class SharedExperts : Module
{
    private readonly int _count;
    private readonly Activation _activation;
    private readonly Linear? _gate;
    private readonly Linear _up;
    private readonly Linear _down;

    public SharedExperts(ExpertsOptions options, PartBuilder part)
    {
        (_count, _activation) = (options.SharedCount, options.Expert.Activation);
        var each = options.SharedHidden ?? options.Expert.HiddenAt(part.Width);
        var hidden = checked(options.SharedCount * each);
        if (options.Expert.IsGated) _gate = Own("gate_proj", new Linear(part.At("gate_proj"), part.Width, hidden, options.SharedBias));
        _up = Own("up_proj", new Linear(part.At("up_proj"), part.Width, hidden, options.SharedBias));
        _down = Own("down_proj", new Linear(part.At("down_proj"), hidden, part.Width, options.SharedBias, part.OutputDeviation(each)));
    }

    /// <summary>[tokens, width] to the same shape.</summary>
    /// <param name="x">[tokens, width].</param>
    /// <param name="gates">[tokens, experts], or null where each counts fully.</param>
    /// <param name="context">Whether it trains.</param>
    public Tensor Forward(Activations x, Tensor? gates, ForwardContext context)
    {
        var up = _up.Forward(x, context);
        var hidden = _gate is null ? Op.Activate(up, _activation) : Op.Gate(_gate.Forward(x, context), up, _activation);
        return _down.Forward(gates is null ? hidden : Op.ScaleGroups(hidden, gates, _count), context);
    }
}
