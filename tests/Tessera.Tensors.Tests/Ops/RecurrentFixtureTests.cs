using Tessera.Testing;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>Values and gradients of PyTorch's nn.LSTM and nn.GRU, one layer and two bidirectional ones, in double precision.</summary>
public class RecurrentFixtureTests
{
    private const double Tolerance = 2e-6;

    [Theory]
    [InlineData("lstm")]
    [InlineData("lstm-bi2")]
    [InlineData("gru")]
    [InlineData("gru-bi2")]
    public void Values_and_all_gradients_are_those_of_PyTorch(string name)
    {
        var reference = new ReferenceTensors(Path.Combine(Fixture.Local("torch"), name, "expected.safetensors"));
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var network = new Network(reference, withState: true);
        var (outputs, hidden, cells) = network.Run(lengths: null);

        OperationCheck.Compare("y", Doubles(reference, "y"), outputs.ToArray(), Tolerance);
        OperationCheck.Compare("hn", Doubles(reference, "hn"), [.. hidden.SelectMany(state => state.ToArray())], Tolerance);
        if (reference.Has("cn"))
            OperationCheck.Compare("cn", Doubles(reference, "cn"), [.. cells.SelectMany(state => state.ToArray())], Tolerance);

        // The final states' gradients come before the last operation's backward, as from operations recorded later.
        var finalGradient = reference.Floats("dhn").AsSpan();
        foreach (var state in hidden)
        {
            var count = (int)state.Shape.Count;
            finalGradient[..count].CopyTo(state.Slot!.Add());
            finalGradient = finalGradient[count..];
        }

        tape.Backward(outputs, reference.Floats("dy"));
        foreach (var (parameter, tensor) in network.Inputs)
            OperationCheck.Compare($"gradient of {parameter}", network.Expected("grad.", parameter), tensor.Gradient.ToArray(), Tolerance);
    }

    [Theory]
    [InlineData("lstm")]
    [InlineData("lstm-bi2")]
    [InlineData("gru")]
    [InlineData("gru-bi2")]
    public void Rows_of_different_lengths_give_what_packed_sequences_give(string name)
    {
        var reference = new ReferenceTensors(Path.Combine(Fixture.Local("torch"), name, "expected.safetensors"));
        using var scope = Arena.Current.Scope();
        var ends = reference.Ints("packed.lengths");
        var (outputs, hidden, _) = new Network(reference, withState: false).Run(Tensor.From(ends, [ends.Length]));
        OperationCheck.Compare("y", Doubles(reference, "packed.y"), outputs.ToArray(), Tolerance);
        OperationCheck.Compare("hn", Doubles(reference, "packed.hn"), [.. hidden.SelectMany(state => state.ToArray())], Tolerance);
    }

    private static double[] Doubles(ReferenceTensors reference, string name) => [.. reference.Floats(name).Select(value => (double)value)];

    /// <summary>The layers of a fixture; its states [layers · directions, B, H] are cut into one tensor a layer.</summary>
    private sealed class Network
    {
        private readonly ReferenceTensors _reference;
        private readonly int _layers;
        private readonly bool _bidirectional, _withState;

        public Network(ReferenceTensors reference, bool withState)
        {
            (_reference, _withState) = (reference, withState);
            _bidirectional = reference.Has("weight_ih_l0_reverse");
            while (reference.Has($"weight_ih_l{_layers}")) _layers++;
        }

        public Dictionary<string, Tensor> Inputs { get; } = [];

        public (Tensor Outputs, List<Tensor> Hidden, List<Tensor> Cells) Run(Tensor? lengths)
        {
            var x = Input("x");
            List<Tensor> hidden = [], cells = [];
            for (var layer = 0; layer < _layers; layer++)
            {
                var h = _withState ? State("h0", layer) : null;
                var suffix = $"_l{layer}";
                if (_reference.Has("c0"))
                {
                    var c = _withState ? State("c0", layer) : null;
                    var forward = new LstmWeights(
                        Input("weight_ih" + suffix), Input("weight_hh" + suffix), Input("bias_ih" + suffix), Input("bias_hh" + suffix));
                    var result = !_bidirectional ? Op.Lstm(x, forward, h, c, lengths) : Op.BidirectionalLstm(
                            x,
                            forward,
                            new LstmWeights(
                                Input($"weight_ih{suffix}_reverse"), Input($"weight_hh{suffix}_reverse"), Input($"bias_ih{suffix}_reverse"),
                                Input($"bias_hh{suffix}_reverse")),
                            h,
                            c,
                            lengths);
                    x = result.Outputs;
                    hidden.Add(result.FinalHidden);
                    cells.Add(result.FinalCell);
                }
                else
                {
                    var forward = new GruWeights(
                        Input("weight_ih" + suffix), Input("weight_hh" + suffix), Input("bias_ih" + suffix), Input("bias_hh" + suffix));
                    var result = !_bidirectional ? Op.Gru(x, forward, h, lengths) : Op.BidirectionalGru(
                            x,
                            forward,
                            new GruWeights(
                                Input($"weight_ih{suffix}_reverse"), Input($"weight_hh{suffix}_reverse"), Input($"bias_ih{suffix}_reverse"),
                                Input($"bias_hh{suffix}_reverse")),
                            h,
                            lengths);
                    x = result.Outputs;
                    hidden.Add(result.FinalHidden);
                }
            }

            return (x, hidden, cells);
        }

        /// <summary>Expected elements of an input, or of its gradient; a state's name ends in its layer.</summary>
        public double[] Expected(string prefix, string name)
        {
            var slash = name.IndexOf('/', StringComparison.Ordinal);
            if (slash < 0) return Doubles(_reference, prefix + name);
            var all = Doubles(_reference, prefix + name[..slash]);
            var layer = name[slash + 1] - '0';
            return all[(all.Length / _layers * layer)..(all.Length / _layers * (layer + 1))];
        }

        private Tensor Input(string name) =>
            Inputs[name] = Tensor.From(_reference.Floats(name), new Shape(_reference.Shape(name))).WithGradient();

        private Tensor State(string name, int layer)
        {
            var shape = _reference.Shape(name);
            var values = Expected("", $"{name}/{layer}").Select(value => (float)value).ToArray();
            Shape state = _bidirectional ? [2, shape[1], shape[2]] : [shape[1], shape[2]];
            return Inputs[$"{name}/{layer}"] = Tensor.From(values, state).WithGradient();
        }
    }
}
