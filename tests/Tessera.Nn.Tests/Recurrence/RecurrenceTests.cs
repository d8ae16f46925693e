using Tessera.Nn.Recurrence;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

public sealed class RecurrenceTests
{
    private const int Batch = 3;
    private const int Length = 6;
    private const int Width = 5;
    private const int Hidden = 4;
    private static readonly int[] s_lengths = [6, 2, 4];

    public static TheoryData<bool, bool, bool, int> Stacks
    {
        get
        {
            var data = new TheoryData<bool, bool, bool, int>();
            foreach (var lstm in new[] { true, false })
                foreach (var bidirectional in new[] { true, false })
                    foreach (var residual in new[] { true, false })
                        foreach (var layers in new[] { 1, 3 })
                            data.Add(lstm, bidirectional, residual, layers);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Stacks))]
    public void A_stack_is_its_operations_one_after_the_other(bool lstm, bool bidirectional, bool residual, int layers)
    {
        using var scope = Arena.Current.Scope();
        var part = PartCheck.Shaken(Options(lstm, bidirectional, residual, layers).Build(PartCheck.Builder(Width)));
        var outputs = Hidden * (bidirectional ? 2 : 1);
        Assert.Equal(outputs, part.OutputWidth);
        var input = PartCheck.Normal(Batch * Length * Width, 4);
        var upstream = PartCheck.Normal(Batch * Length * outputs, 6);
        var lengths = PartCheck.Ints([Batch], s_lengths);
        var parameters = part.Parameters().ToDictionary(own => own.Name, own => own.Parameter.Value);

        var (found, foundGradient) = Run(x =>
            part.Forward(x, new ForwardContext { Positions = PartCheck.Positions(Batch, Length), Lengths = lengths })
        );
        var gradients = parameters.ToDictionary(own => own.Key, own => own.Value.Gradient.ToArray());
        foreach (var parameter in parameters.Values) parameter.ClearGradient();
        var (expected, expectedGradient) = Run(ByHand);

        // Both directions run beside each other in the part and one by one here: equal up to rounding.
        PartCheck.Compare("value", expected, found, 1e-6);
        PartCheck.Compare("gradient of x", expectedGradient, foundGradient, 1e-5);
        foreach (var (name, parameter) in parameters)
        {
            Assert.Contains(gradients[name], value => value != 0);
            PartCheck.Compare($"gradient of {name}", parameter.Gradient.ToArray(), gradients[name], 1e-5);
        }

        (float[] Value, float[] Gradient) Run(Func<Tensor, Tensor> forward)
        {
            using var tape = Tape.Record();
            var x = Tensor.From(input, [Batch, Length, Width]).WithGradient();
            var y = forward(x);
            tape.Backward(y, upstream);
            return (y.ToArray(), x.Gradient.ToArray());
        }

        Tensor ByHand(Tensor x)
        {
            for (var layer = 0; layer < layers; layer++)
            {
                var y = Direction(x, $"l{layer}", reverse: false);
                if (bidirectional) y = SideBySide(y, Direction(x, $"l{layer}_reverse", reverse: true));
                if (residual) y = Op.Add(y, x.Shape.Width == outputs ? x : Op.Linear(x, parameters[$"residual_l{layer}.weight"]));
                x = y;
            }

            return x;
        }

        Tensor Direction(Tensor x, string name, bool reverse)
        {
            var (inputs, recurrent) = (parameters[$"weight_ih_{name}"], parameters[$"weight_hh_{name}"]);
            var (inputBias, recurrentBias) = (parameters[$"bias_ih_{name}"], parameters[$"bias_hh_{name}"]);
            return lstm
                ? Op.Lstm(x, new LstmWeights(inputs, recurrent, inputBias, recurrentBias), lengths: lengths, reverse: reverse).Outputs
                : Op.Gru(x, new GruWeights(inputs, recurrent, inputBias, recurrentBias), lengths: lengths, reverse: reverse).Outputs;
        }
    }

    [Theory]
    [MemberData(nameof(Stacks))]
    public void Padding_changes_nothing(bool lstm, bool bidirectional, bool residual, int layers)
    {
        using var scope = Arena.Current.Scope();
        var part = PartCheck.Shaken(Options(lstm, bidirectional, residual, layers).Build(PartCheck.Builder(Width)));
        var x = PartCheck.Normal(Batch * Length * Width, 4);
        var together = Forward(x, Batch, Length, s_lengths);
        for (var row = 0; row < Batch; row++)
        {
            var alone = Forward(x.AsSpan(row * Length * Width, s_lengths[row] * Width).ToArray(), 1, s_lengths[row], null);
            var start = row * Length * part.OutputWidth;
            PartCheck.Compare($"row {row}", alone, together[start..(start + alone.Length)], 1e-6);
        }

        float[] Forward(float[] values, int rows, int length, int[]? lengths) => part.Forward(
                    Tensor.From(values, [rows, length, Width]),
                    new ForwardContext
                    {
                        Positions = PartCheck.Positions(rows, length),
                        Lengths = lengths is null ? null : PartCheck.Ints([rows], lengths),
                    }
                )
                .ToArray();
    }

    [Theory]
    [InlineData(0, 4, "model.layers: is 0; allowed: 1 to 64")]
    [InlineData(65, 4, "model.layers: is 65; allowed: 1 to 64")]
    [InlineData(1, 0, "model.hidden: is 0; allowed: 1 to 1048576")]
    [InlineData(1, 65536, "model.weight_hh_l0: would be [196608, 65536]; allowed: at most 2147483647 weights")]
    public void Sizes_that_cannot_be_are_named(int layers, int hidden, string message)
    {
        var options = new GruOptions { Layers = layers, Hidden = hidden };
        Assert.Equal(message, Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(Width))).Message);
    }

    private static RecurrenceOptions Options(bool lstm, bool bidirectional, bool residual, int layers) => lstm
        ? new LstmOptions { Layers = layers, Hidden = Hidden, Bidirectional = bidirectional, Residual = residual }
        : new GruOptions { Layers = layers, Hidden = Hidden, Bidirectional = bidirectional, Residual = residual };

    /// <summary>Left and right columns beside each other, made of linear maps so that gradients flow.</summary>
    private static Tensor SideBySide(Tensor left, Tensor right)
    {
        var (width, place) = (left.Shape.Width, Tensor.Temporary([2 * left.Shape.Width, left.Shape.Width]));
        var other = Tensor.Temporary(place.Shape);
        place.Floats.Clear();
        other.Floats.Clear();
        for (var i = 0; i < width; i++) place.Floats[(i * width) + i] = other.Floats[((width + i) * width) + i] = 1;
        return Op.Add(Op.Linear(left, place), Op.Linear(right, other));
    }
}
