using Tessera.Nn.FeedForward;
using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>
/// Experts that every token visits, as one wide feed-forward whose hidden units lie expert by expert: since the last map is
/// linear, <c>Σ g_s W_s h_s</c> is one product of all W_s with the hidden units scaled by their expert's gate. The gates come from the
/// router, or from a map of their own, <c>σ(w_s · x)</c> (Qwen1.5-MoE, <see href="https://qwenlm.github.io/blog/qwen-moe/"/>).
/// </summary>
internal sealed class SharedExperts : Module
{
    private readonly int _count;
    private readonly DenseOptions _expert;
    private readonly Linear? _share;
    private readonly Linear? _gate;
    private readonly Linear _up;
    private readonly Linear _down;

    public SharedExperts(ExpertsOptions options, PartBuilder part)
    {
        (_count, _expert) = (options.SharedCount, options.Expert);
        var each = options.SharedHidden ?? options.Expert.HiddenAt(part.Width);
        var hidden = checked(options.SharedCount * each);
        if (options.SharedGate) _share = Own("gate", new Linear(part.At("gate"), part.Width, _count, mayBeStored: false));
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
        var hidden = _expert.Activate(_gate?.Forward(x, context), up);
        if (_share is not null) gates = Op.Activate(_share.Forward(x, context), Activation.Sigmoid);
        return _down.Forward(gates is null ? hidden : Op.ScaleGroups(hidden, gates, _count), context);
    }
}
