using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// The tensors that one step of an optimizer changes, taken as one long range, so that threads share thousands of small
/// tensors as evenly as one large one. Fill it with <see cref="Add"/>, run it once, fill it again; no step allocates.
/// The result does not depend on the number of threads.
/// </summary>
/// <param name="capacity">The most tensors there can be.</param>
public sealed unsafe class UpdateBatch(int capacity)
{
    // Keeps the tensors alive while only addresses are left of them.
    private readonly Tensor?[] _tensors = new Tensor?[3 * capacity];
    private readonly NativeBuffer _rows = new((long)capacity * sizeof(OptimizerKernels.Row));
    private int _count;
    private int _blocks;

    /// <summary>Adds a tensor to this step; its gradient must have arrived.</summary>
    /// <param name="weights">An F32 tensor with a gradient.</param>
    /// <param name="first">The optimizer's first moment, or momentum: as many elements.</param>
    /// <param name="second">The second moment where the optimizer has one: as many elements.</param>
    /// <param name="factors">This tensor's numbers.</param>
    /// <exception cref="ShapeException">A tensor has no gradient, or another number of elements than the weights.</exception>
    /// <exception cref="InvalidOperationException">The batch is full.</exception>
    public void Add(Tensor weights, Tensor first, Tensor? second, in UpdateFactors factors)
    {
        if (_count == capacity) throw new InvalidOperationException($"the batch is full: it has room for {capacity} tensors");
        var gradient = weights.Gradient;
        ShapeException.Require(gradient.Length == weights.Shape.Count, "update", "weights", weights, "one that has a gradient");
        ShapeException.Require(first.Shape.Count == weights.Shape.Count, "update", "first", first, "weights", weights);
        ShapeException.Require(
            second is null || second.Shape.Count == weights.Shape.Count, "update", "second", second ?? first, "weights", weights);

        ref var row = ref ((OptimizerKernels.Row*)_rows.Address)[_count];
        fixed (float* weight = weights.Floats, slope = gradient, moment = first.Floats, square = second is null ? default : second.Floats)
        {
            row.Weights = weight;
            row.Gradient = slope;
            row.First = moment;
            row.Second = square;
        }

        (row.Count, row.Start) = (gradient.Length, _blocks);
        (row.Size, row.Root) = ((float)(factors.LearningRate / factors.FirstCorrection), (float)Math.Sqrt(factors.SecondCorrection));
        (row.Decay, row.Keep) = ((float)factors.Decay, (float)(1 - factors.Decay));
        (_tensors[3 * _count], _tensors[(3 * _count) + 1], _tensors[(3 * _count) + 2]) = (weights, first, second);
        _blocks = checked(_blocks + OptimizerKernels.Blocks(gradient.Length));
        _count++;
    }

    /// <summary>
    /// AdamW on all tensors added, and empties the batch: <c>m ← m + (1 − β₁)(g − m)</c>, <c>v ← β₂ v + (1 − β₂) g²</c>,
    /// <c>w ← (1 − d) w − η/c₁ · m / (√(v/c₂) + ε)</c>, where η, d, c₁ and c₂ are the tensor's learning rate, decay and corrections.
    /// <para>Loshchilov, Hutter 2017, <see href="https://arxiv.org/abs/1711.05101"/>, algorithm 2, in the order of
    /// operations of PyTorch's <c>torch.optim.AdamW</c>.</para>
    /// </summary>
    /// <param name="beta1">β₁, the share of the first moment that is kept.</param>
    /// <param name="beta2">β₂, the share of the second moment that is kept.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="gradientScale">What gradients are multiplied by first, as to clip them.</param>
    public void AdamW(double beta1, double beta2, double epsilon, double gradientScale) =>
        Run<OptimizerKernels.AdamW>(new OptimizerKernels.Rule
        {
            Intake = (float)(1 - beta1), SecondKeep = (float)beta2, SecondIntake = (float)(1 - beta2),
            Epsilon = (float)epsilon, GradientScale = (float)gradientScale,
        });

    /// <summary>
    /// Gradient descent with Nesterov's momentum on all tensors added, and empties the batch: <c>g ← g + d w</c>,
    /// <c>b ← μ b + g</c>, <c>w ← w − η (g + μ b)</c>. Corrections and second moments are not read.
    /// <para>Sutskever et al. 2013, section 2, as PyTorch's <c>torch.optim.SGD(nesterov=True)</c> computes it.</para>
    /// </summary>
    /// <param name="momentum">μ.</param>
    /// <param name="gradientScale">What gradients are multiplied by first, as to clip them.</param>
    public void Nesterov(double momentum, double gradientScale) =>
        Run<OptimizerKernels.Nesterov>(new OptimizerKernels.Rule { Momentum = (float)momentum, GradientScale = (float)gradientScale });

    private void Run<TStep>(in OptimizerKernels.Rule rule) where TStep : OptimizerKernels.IStep
    {
        if (_blocks > 0) OptimizerKernels.Update<TStep>((OptimizerKernels.Row*)_rows.Address, _count, _blocks, rule);
        Array.Clear(_tensors);
        (_count, _blocks) = (0, 0);
        GC.KeepAlive(this);
    }
}

/// <summary>The numbers of one tensor in one step of an optimizer.</summary>
/// <param name="LearningRate">η.</param>
/// <param name="Decay">What the step takes off each weight: η λ for decoupled decay, λ for decay through the gradient.</param>
/// <param name="FirstCorrection">c₁ = 1 − β₁ᵗ: how much of the first moment has been filled after t steps.</param>
/// <param name="SecondCorrection">c₂ = 1 − β₂ᵗ.</param>
public readonly record struct UpdateFactors(double LearningRate, double Decay, double FirstCorrection = 1, double SecondCorrection = 1);
