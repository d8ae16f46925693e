using Tessera.Nn.Experts;
using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>What a forward pass needs besides its input: where the tokens stand, which are padding, what was cached,
/// whether it trains, and where losses and measurements go.</summary>
public sealed class Step : Recycled
{
    private readonly List<(string Name, Tensor Loss)> _losses = [];
    private ulong _draws;

    /// <summary>Whether dropout and the like are on.</summary>
    public bool IsTraining { get => Live(field); set; }

    /// <summary>Where this step's random numbers come from.</summary>
    public CounterRandom Random { get => Live(field); set; }

    /// <summary>I32 [batch, length]: the position of each token in its sequence, from 0.</summary>
    public required Tensor Positions { get => Live(field); set; }

    /// <summary>I32 [batch]: how many of a row's tokens are real, where rows are padded at the end; null: all.</summary>
    public Tensor? Lengths { get => Live(field); set; }

    /// <summary>I32 [batch, length]: which of several packed sequences each token belongs to, −1 for padding; null: one a row.</summary>
    public Tensor? Segments { get => Live(field); set; }

    /// <summary>[batch, source length, width]: what cross-attention reads; null where there is none.</summary>
    public Tensor? Memory { get => Live(field); set; }

    /// <summary>I32 [batch]: the real length of each row of <see cref="Memory"/>; null: all.</summary>
    public Tensor? MemoryLengths { get => Live(field); set; }

    /// <summary>Keys, values and states of earlier tokens, while decoding; null: the whole sequence is in the input.</summary>
    public CacheSet? Caches { get => Live(field); set; }

    /// <summary>Where routers report how much each expert was used, if anyone wants to know.</summary>
    public ExpertUse? ExpertUse { get => Live(field); set; }

    /// <summary>Where a stack of layers puts its stream before each layer and what comes out of it, if anyone wants to know.</summary>
    public IList<Tensor>? Streams { get => Live(field); set; }

    /// <summary>Losses of the parts, such as <c>balance</c>, each a scalar; their weights are the phase's.</summary>
    public IReadOnlyList<(string Name, Tensor Loss)> Losses => Live(_losses);

    /// <summary>A step of the arena's current scope, with nothing set but its positions; <c>new Step</c> gives one that may be kept.</summary>
    /// <param name="positions">I32 [batch, length].</param>
    public static Step At(Tensor positions)
    {
        var step = Arena.Current.Lend(static () => new Step { Positions = null! });
        step.Positions = positions;
        return step;
    }

    /// <summary>Adds a loss of a part, where one is wanted.</summary>
    public void AddLoss(string name, Tensor loss) => Live(_losses).Add((name, loss));

    /// <summary>Drops elements of <paramref name="x"/> while training, each call differently.</summary>
    public Tensor Dropout(Tensor x, float rate) =>
        IsTraining && rate > 0 ? Op.Dropout(x, rate, Random.Derive(_draws++)) : x;

    /// <summary><see cref="Op.Checkpoint"/> of a segment that may drop: computed again on the way back, it drops the same elements.</summary>
    /// <param name="x">The segment's input.</param>
    /// <param name="segment">Gives the same result when it is run again; none of its parts may report a loss.</param>
    /// <exception cref="InvalidOperationException">A part of the segment reported a loss, which would have no gradient.</exception>
    public Tensor Checkpoint(Tensor x, Func<Tensor, Tensor> segment)
    {
        var first = _draws;
        return Op.Checkpoint(x, input =>
        {
            var (draws, losses) = (_draws, _losses.Count);
            _draws = first;
            var y = segment(input);
            _draws = Math.Max(_draws, draws);
            return _losses.Count == losses
                ? y
                : throw new InvalidOperationException($"a part of a checkpointed segment reports the loss '{_losses[^1].Name}': its gradient would be lost");
        });
    }

    /// <summary>Whether a token, counted row by row, only fills up its row.</summary>
    internal bool IsPadding(int token) => Segments is not null
        ? Segments.Ints[token] < 0
        : Lengths is not null && token % Positions.Shape[1] >= Lengths.Ints[token / Positions.Shape[1]];

    /// <inheritdoc/>
    protected override void Forget()
    {
        (Positions, Lengths, Segments, Memory, MemoryLengths, Caches, ExpertUse, Streams) = (null!, null, null, null, null, null, null, null);
        (IsTraining, Random, _draws) = (false, default, 0);
        _losses.Clear();
    }
}
