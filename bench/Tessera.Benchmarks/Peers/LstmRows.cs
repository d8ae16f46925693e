using Tessera.Nn;
using Tessera.Nn.Blocks;
using Tessera.Nn.Recurrence;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>The hybrid's encoder, a bidirectional LSTM of 2 layers, forward and backward against <c>nn.LSTM</c>.</summary>
internal static class LstmRows
{
    private const int Rounds = 3;

    public static void Run(Report report, TorchPeer peers)
    {
        var (ours, theirs) = (double.MaxValue, double.MaxValue);
        var work = new Lstm();
        for (var round = 0; round < Rounds; round++)
        {
            theirs = Math.Min(theirs, TorchPeer.Number(peers.Run("lstm").Lines[0], "step_ms") / 1e3);
            ours = Math.Min(ours, Timing.Best(work.Run));
        }

        report.CompareTimes("LSTM, 2 layers of 2 x 128, 16 x 256 steps, F32: forward + backward", ours, theirs,
            Peak.Share(Precision.F32, 6.0 * work.Parameters * Lstm.Tokens, ours), Targets.Lstm);
    }

    /// <summary>The encoder and an input whose gradient is wanted too.</summary>
    internal sealed class Lstm
    {
        private readonly Tensor _x = Drawn.Normal([16, 256, 64], 1).WithGradient();
        private readonly Tensor _upstream = Tensor.Allocate([16, 256, 256]);
        private readonly Encoder _lstm;
        private readonly ForwardContext _step;
        private readonly IReadOnlyList<(string Name, Parameter Parameter)> _parameters;

        public Lstm()
        {
            _upstream.Floats.Fill(1);
            _step = new ForwardContext { Positions = Tensor.Allocate([16, 256], ElementType.I32) };
            _lstm = new LstmOptions
            {
                Layers = 2,
                Hidden = 128,
                Bidirectional = true,
            }.Build(new PartBuilder(64, "lstm", new CounterRandom(1)));
            _parameters = _lstm.Parameters();
        }

        public const int Tokens = 16 * 256;

        public long Parameters => _parameters.Sum(each => each.Parameter.Value.Shape.Count);

        public void Run()
        {
            _x.ClearGradient();
            foreach (var (_, parameter) in _parameters) parameter.Value.ClearGradient();
            using var tape = Tape.Record();
            tape.Backward(_lstm.Forward(_x, _step), _upstream.Floats);
        }
    }
}
