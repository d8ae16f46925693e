using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Caches;
using Tessera.Nn.Experts;
using Tessera.Nn.Mixers;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>What a forward pass needs besides its input: where the tokens stand, which are padding, what was cached,
/// whether it trains, and where losses and measurements go.</summary>
public sealed class ForwardContext : Recycled
{
    private readonly List<(string Name, Tensor Loss)> _losses = [];
    private readonly List<(AttentionPattern Pattern, PatternContext Of, BlockMask Mask)> _masks = [];
    private readonly List<(AttentionPattern Pattern, PatternContext Of, int Run, BlockMask Mask)> _stepMasks = [];
    private readonly List<(RotaryTables Of, RotaryTable Table)> _rotary = [];
    private ForwardContext? _pass;
    private ulong _draws;
    private int _segments;

    /// <summary>Whether dropout and the like are on.</summary>
    public bool IsTraining { get => Live(field); set; }

    /// <summary>Where this context's random numbers come from.</summary>
    public CounterRandom Random { get => Live(field); set; }

    /// <summary>I32 [batch, length]: the position of each token in its sequence, from 0.</summary>
    public required Tensor Positions { get => Live(field); set => field = Anew(value)!; }

    /// <summary>I32 [batch]: how many of a row's tokens are real, where rows are padded at the end; null: all.</summary>
    public Tensor? Lengths { get => Live(field); set => field = Anew(value); }

    /// <summary>I32 [batch, length]: which of several packed sequences each token belongs to, −1 for padding; null: one a row.</summary>
    public Tensor? Segments { get => Live(field); set => field = Anew(value); }

    /// <summary>[batch, source length, width]: what cross-attention reads; null where there is none.</summary>
    public Tensor? Memory { get => Live(field); set => field = Anew(value); }

    /// <summary>I32 [batch]: the real length of each row of <see cref="Memory"/>; null: all.</summary>
    public Tensor? MemoryLengths { get => Live(field); set => field = Anew(value); }

    /// <summary>Which sequences read which tokens, while decoding: the input is then one row of all their tokens, and earlier ones are in
    /// the step's caches; null: whole sequences are in the input.</summary>
    public DecodingStep? Decoding { get => Live(field); set; }

    /// <summary>Where routers report how much each expert was used, if anyone wants to know.</summary>
    public ExpertUse? ExpertUse { get => Live(field); set; }

    /// <summary>Where a stack of layers puts its stream before each layer and what comes out of it, if anyone wants to know.</summary>
    public IList<Tensor>? HiddenStates { get => Live(field); set; }

    /// <summary>Whether layers keep only their input while training and compute the rest again on the way back; see
    /// <see cref="Checkpoint"/>.</summary>
    public bool IsCheckpointed { get => Live(field); set; }

    /// <summary>Whether a segment is being computed again: what it counts and shows has been counted and shown.</summary>
    public bool IsRepeated { get => Live(field); private set; }

    /// <summary>Which losses of the parts are wanted where the context trains; null: all.</summary>
    public WantedLosses? WantedLosses { get => Live(field); set; }

    /// <summary>Losses of the parts, such as <c>balance</c>, each a scalar; their weights are the phase's.</summary>
    public IReadOnlyList<(string Name, Tensor Loss)> Losses => Reported;

    /// <summary>A context of the arena's current scope, with nothing set but its positions; <c>new ForwardContext</c> gives one that may be
    /// kept.</summary>
    /// <param name="positions">I32 [batch, length].</param>
    public static ForwardContext At(Tensor positions)
    {
        var context = Arena.Current.Lend(static () => new ForwardContext { Positions = null! });
        context.Positions = positions;
        return context;
    }

    /// <summary>The context of another sequence that is read in the same pass, as an encoder's source is: it trains, counts and reports
    /// where this one does, and has random numbers of its own.</summary>
    /// <param name="name">Whose it is, from which its random numbers are derived.</param>
    /// <param name="positions">I32 [batch, length].</param>
    /// <param name="lengths">I32 [batch]: how many of a row's tokens are real; null: all.</param>
    public ForwardContext Of(string name, Tensor positions, Tensor? lengths)
    {
        var other = At(positions);
        (other._pass, other.Lengths, other.Random) = (this, lengths, Random.Derive(name));
        (other.IsTraining, other.IsCheckpointed, other.ExpertUse, other.WantedLosses) = (
            IsTraining, IsCheckpointed, ExpertUse, WantedLosses);
        return other;
    }

    /// <summary>Whether a part that offers a loss (<see cref="Module.OfferedLosses"/>) is to compute it.</summary>
    public bool Wants(string loss) => IsTraining && (WantedLosses is null || WantedLosses.Contains(loss));

    /// <summary>Adds a loss of a part; only one that <see cref="Wants"/> allows.</summary>
    public void AddLoss(string name, Tensor loss) => Reported.Add((name, loss));

    /// <summary>Drops elements of <paramref name="x"/> while training, each call differently.</summary>
    public Tensor Dropout(Tensor x, float rate) =>
        IsTraining && rate > 0 ? Op.Dropout(x, rate, Random.Derive(_draws++)) : x;

    /// <summary><see cref="Op.Checkpoint"/> of a segment whose parts may drop and report losses: computed again on the way back, it
    /// drops the same elements, and what it counts is counted once. Allocates nothing once such a context has been done before.</summary>
    /// <param name="x">The segment's input.</param>
    /// <param name="segment">Gives the same result when it is run again; best kept by its part, since a new delegate is garbage.</param>
    public Tensor Checkpoint(Tensor x, Func<Tensor, ForwardContext, Tensor> segment)
    {
        if (!Tape.IsRecording) return segment(x, this);
        var repeated = Arena.Current.Lend(static () => new RepeatedSegment());
        repeated.Begin(this, segment);
        var y = Op.Checkpoint(x, repeated.Run, repeated.Losses);
        for (var index = 0; index < repeated.Losses.Count; index++) Reported.Add((repeated.Names[index], repeated.Losses[index]));
        return y;
    }

    /// <summary>The mask of a sequence that attends to itself, what the role allows of the real tokens of its own segment, or to the real
    /// tokens of <see cref="Memory"/>; narrowed by a pattern. Made once a pass: layers whose patterns are alike share it.</summary>
    /// <param name="pattern">Narrows it.</param>
    /// <param name="of">Whose mask it is.</param>
    public BlockMask Mask(AttentionPattern pattern, PatternContext of)
    {
        for (var index = 0; index < Live(_masks).Count; index++)
            if (_masks[index].Of == of && _masks[index].Pattern.Equals(pattern)) return _masks[index].Mask;
        var length = Positions.Shape[1];
        var isCross = of.Role == MixerRole.Cross;
        var keys = !isCross ? length
            : Memory?.Shape[1] ?? throw new InvalidOperationException("cross-attention needs ForwardContext.Memory");
        var mask = of.Role == MixerRole.Causal ? BlockMask.Causal(length, keys) : BlockMask.Full(length, keys);
        if ((isCross ? MemoryLengths : Lengths) is { } lengths) mask = mask.Lengths(lengths);
        if (!isCross && Segments is not null) mask = mask.Segments(Segments, Segments);
        mask = pattern.Narrow(mask, of);
        if (_segments == 0) _masks.Add((pattern, of, mask)); // what is made inside of a segment ends with it
        return mask;
    }

    /// <summary>As <see cref="Mask"/>, of a run of sequences that are being decoded: each query stands at its sequence's own
    /// position, or looks at all that is remembered for it.</summary>
    /// <param name="pattern">Narrows it.</param>
    /// <param name="of">Causal or cross.</param>
    /// <param name="run">The sequences.</param>
    /// <param name="cache">Has their tokens, those of the step included.</param>
    public BlockMask StepMask(AttentionPattern pattern, PatternContext of, StepRun run, TokenCache cache)
    {
        for (var index = 0; index < Live(_stepMasks).Count; index++)
        {
            var (made, context, first, ready) = _stepMasks[index];
            if (first == run.First && context == of && made.Equals(pattern)) return ready;
        }

        var step = Decoding!;
        Span<int> lengths = run.Sequences <= 1024 ? stackalloc int[run.Sequences] : new int[run.Sequences];
        var longest = 0;
        for (var row = 0; row < run.Sequences; row++)
        {
            lengths[row] = cache.Count(step.Sequences[run.First + row].Number);
            longest = Math.Max(longest, lengths[row]);
        }

        var mask = of.Role == MixerRole.Causal
            ? BlockMask.Causal(run.TokensEach, longest, lengths)
            : BlockMask.Full(run.TokensEach, longest).Lengths(lengths);
        mask = pattern.Narrow(mask, of);
        _stepMasks.Add((pattern, of, run.First, mask));
        return mask;
    }

    /// <summary>Sines and cosines of the positions of this pass, which layers with the same options share.</summary>
    internal RotaryTable Rotary(RotaryTables tables)
    {
        for (var index = 0; index < Live(_rotary).Count; index++)
            if (ReferenceEquals(_rotary[index].Of, tables)) return _rotary[index].Table;
        var table = tables.For(Positions);
        if (_segments == 0) _rotary.Add((tables, table));
        return table;
    }

    /// <summary>Which tokens only fill up their row.</summary>
    internal TokenPadding Padding => Segments is not null ? TokenPadding.Between(Segments)
        : Lengths is not null ? TokenPadding.After(Lengths, Positions.Shape[1])
        : default;

    /// <summary>I32 [tokens]: which sequence each token belongs to, numbered from 0 through all rows; −1 for padding.</summary>
    /// <param name="tokens">How many tokens there are.</param>
    /// <param name="rows">In how many rows of equal length.</param>
    internal Tensor Sequences(int tokens, int rows) => SegmentPlan.Numbers(tokens, rows, Segments, Padding);

    /// <summary>The losses of the pass.</summary>
    private List<(string Name, Tensor Loss)> Reported => _pass is null ? Live(_losses) : _pass.Reported;

    /// <summary>What was made for other places of tokens is forgotten.</summary>
    private Tensor? Anew(Tensor? value)
    {
        _masks.Clear();
        _stepMasks.Clear();
        _rotary.Clear();
        return value;
    }

    /// <inheritdoc/>
    protected override void Forget()
    {
        (Positions, Lengths, Segments, Memory, MemoryLengths, Decoding) = (null!, null, null, null, null, null);
        (ExpertUse, HiddenStates, WantedLosses, _pass) = (null, null, null, null);
        (IsTraining, IsCheckpointed, IsRepeated, Random, _draws, _segments) = (false, false, false, default, 0, 0);
        _losses.Clear();
    }

    /// <summary>A segment of a context, run once forward and once more on the way back.</summary>
    private sealed class RepeatedSegment : Recycled
    {
        private ForwardContext _context = null!;
        private Func<Tensor, ForwardContext, Tensor> _segment = null!;
        private ulong _firstDraw;
        private bool _hasRun;

        public RepeatedSegment() => Run = Forward;

        public Func<Tensor, Tensor> Run { get; }

        public List<string> Names { get; } = [];

        public List<Tensor> Losses { get; } = [];

        public void Begin(ForwardContext context, Func<Tensor, ForwardContext, Tensor> segment) =>
            (_context, _segment, _firstDraw, _hasRun) = (context, segment, context._draws, false);

        protected override void Forget()
        {
            (_context, _segment) = (null!, null!);
            Names.Clear();
            Losses.Clear();
        }

        /// <summary>Runs the segment from where the context's random numbers were, and takes its losses out of the context.</summary>
        private Tensor Forward(Tensor x)
        {
            var (draws, repeated, own) = (_context._draws, _context.IsRepeated, _context.Reported.Count);
            (_context._draws, _context.IsRepeated) = (_firstDraw, repeated || _hasRun);
            _context._segments++;
            var y = _segment(x, _context);
            _context._segments--;
            (_context._draws, _context.IsRepeated, _hasRun) = (Math.Max(_context._draws, draws), repeated, true);
            Names.Clear();
            for (var index = own; index < _context.Reported.Count; index++)
            {
                Names.Add(_context.Reported[index].Name);
                Losses.Add(_context.Reported[index].Loss);
            }

            _context.Reported.RemoveRange(own, _context.Reported.Count - own);
            return y;
        }
    }
}
