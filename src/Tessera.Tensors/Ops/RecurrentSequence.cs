using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>The weights of one direction: G gates of H units stacked, [G H, inputs] and [G H, H], biases [G H].</summary>
internal readonly record struct RecurrentWeights(Tensor Input, Tensor Recurrent, Tensor? InputBias, Tensor? RecurrentBias);

/// <summary>The arguments of a recurrent operation; <paramref name="Second"/> are the weights of a reverse direction that runs
/// beside the first.</summary>
internal readonly record struct RecurrentCall(
    string Operation, Tensor X, RecurrentWeights First, RecurrentWeights? Second, Tensor? InitialHidden, Tensor? InitialCell,
    Tensor? Lengths, bool Reverse)
{
    public int Directions => Second is null ? 1 : 2;

    public int Batch => X.Shape[0];

    public int Length => X.Shape[1];

    public int Units => First.Recurrent.Shape[1];

    public RecurrentPlan Plan => new()
    {
        Directions = Directions, Reverse = Reverse, Batch = Batch, Length = Length, Units = Units,
        Slices = RecurrentPlan.SlicesFor(Directions, Batch),
    };

    /// <summary>How the products of all steps are computed; those within the time loop are F32.</summary>
    public MatrixProductKind Kind => MatrixProductKinds.Choose(Batch * Length, First.Input.Shape[0], X.Shape.Width, packed: false);

    public RecurrentWeights Weights(int direction) => direction == 0 ? First : Second!.Value;
}

/// <summary>The results of a recurrent operation; cells of no kind but LSTM have a final cell.</summary>
internal readonly record struct RecurrentResult(Tensor Outputs, Tensor FinalHidden, Tensor? FinalCell);

/// <summary>
/// What LSTM and GRU share: one large product of all steps' inputs, the time loop, and on the way back the loop's gradient
/// and large products for the weights' and the input's.
/// </summary>
internal static class RecurrentSequence
{
    /// <summary>Runs the operation and writes its gradient to the tape.</summary>
    public static RecurrentResult Run<TCell>(in RecurrentCall call) where TCell : struct, IRecurrentCell
    {
        Check<TCell>(call);
        var (directions, batch, length, units) = (call.Directions, call.Batch, call.Length, call.Units);
        Shape state = directions == 1 ? [batch, units] : [directions, batch, units];
        var hasCell = typeof(TCell) == typeof(LstmCell);
        var outputs = Tensor.Temporary([batch, length, directions * units]);
        var finalHidden = Tensor.Temporary(state);
        var finalCell = hasCell ? Tensor.Temporary(state) : null;
        var result = new RecurrentResult(outputs, finalHidden, finalCell);

        var rows = Tensor.Temporary([2, batch], ElementType.I32);
        RecurrentPlan.Sort(call.Lengths is { } lengths ? lengths.Ints : default, length, rows.Ints[..batch], rows.Ints[batch..]);
        var records = Tensor.Temporary([directions, batch * length, IRecurrentCell.RecordVectors * units]);
        var entry = Write<TCell>(call, outputs);
        var cells = entry is not null && hasCell ? Tensor.Temporary([directions, batch * length, units]) : null;
        if (entry is not null)
        {
            finalHidden.WithGradient();
            finalCell?.WithGradient();
            (entry.Call, entry.Result, entry.Rows, entry.Records, entry.Cells, entry.Kind) = (
                call, result, rows, records, cells, call.Kind);
        }

        using (Arena.Current.Scope()) Forward<TCell>(call, result, rows.Ints, records.Floats, cells is null ? default : cells.Floats);
        return result;
    }

    private static void Forward<TCell>(
        in RecurrentCall call, in RecurrentResult result, Span<int> rows, Span<float> records, Span<float> cells)
        where TCell : struct, IRecurrentCell
    {
        var (directions, units) = (call.Directions, call.Units);
        var record = IRecurrentCell.RecordVectors * units;
        var stacked = TCell.Gates * units;
        var padded = RecurrentProduct.Padded(stacked);
        var single = call.Length == 1;
        var packed = single ? default : Tensor.Temporary([directions, units, padded]).Floats;
        var products = single ? Tensor.Temporary([directions, call.Batch, padded]).Floats : default;
        var bias = Tensor.Temporary([directions, record]).Floats;
        for (var direction = 0; direction < directions; direction++)
        {
            var weights = call.Weights(direction);
            MatrixProduct.Multiply(
                call.X.AsMatrix(), weights.Input.AsMatrix().T, Part(records, direction, directions), accumulate: false, record,
                kind: call.Kind);
            var recurrent = weights.Recurrent.AsMatrix().T;
            if (single) MultiplyInitial(call, direction, recurrent, Part(products, direction, directions));
            else RecurrentProduct.Pack(recurrent, Part(packed, direction, directions));
            SumBias<TCell>(weights, units, Part(bias, direction, directions));
        }

        var plan = call.Plan;
        RecurrentForward.Run<TCell>(plan, new RecurrentForward.Arrays
        {
            Records = records, Weights = packed, Products = products, Bias = bias, Outputs = result.Outputs.Floats, Cells = cells,
            InitialHidden = Elements(call.InitialHidden), InitialCell = Elements(call.InitialCell),
            FinalHidden = result.FinalHidden.Floats, FinalCell = Elements(result.FinalCell),
            Order = rows[..call.Batch], Ends = rows[call.Batch..],
            Scratch = Tensor.Temporary([RecurrentForward.ScratchSize<TCell>(plan)]).Floats,
        });
    }

    private static void MultiplyInitial(in RecurrentCall call, int direction, Matrix recurrent, Span<float> products)
    {
        if (call.InitialHidden is not { } hidden)
        {
            products.Clear();
            return;
        }

        var states = new Matrix(Part(hidden.Floats, direction, call.Directions), call.Batch, call.Units);
        MatrixProduct.Multiply(states, recurrent, products, accumulate: false, RecurrentProduct.Padded(recurrent.Columns));
    }

    /// <summary>Lays the biases out as a record: both added where a gate sums both shares, else each in its own place.</summary>
    private static void SumBias<TCell>(in RecurrentWeights weights, int units, Span<float> bias) where TCell : struct, IRecurrentCell
    {
        bias.Clear();
        if (weights.InputBias is { } input) input.Floats.CopyTo(bias);
        if (weights.RecurrentBias is not { } recurrent) return;
        var summed = TCell.SummedGates * units;
        TensorPrimitives.Add(bias[..summed], recurrent.Floats[..summed], bias);
        recurrent.Floats[summed..].CopyTo(bias[(bias.Length - recurrent.Floats.Length + summed)..]);
    }

    private static RecurrentEntry<TCell>? Write<TCell>(in RecurrentCall call, Tensor outputs) where TCell : struct, IRecurrentCell
    {
        var (first, second) = (call.First, call.Second.GetValueOrDefault());
        return Tape.Write<RecurrentEntry<TCell>>(
            outputs, call.X, call.InitialHidden, call.InitialCell, first.Input, first.Recurrent, first.InputBias, first.RecurrentBias,
            second.Input, second.Recurrent, second.InputBias, second.RecurrentBias);
    }

    private static Span<float> Part(Span<float> array, int direction, int directions) =>
        array.Slice(array.Length / directions * direction, array.Length / directions);

    private static Span<float> Elements(Tensor? tensor) => tensor is null ? default : tensor.Floats;

    private static void Check<TCell>(in RecurrentCall call) where TCell : struct, IRecurrentCell
    {
        var (operation, x, recurrent) = (call.Operation, call.X, call.First.Recurrent);
        ShapeException.Require(x.Type == ElementType.F32 && x.Shape.Rank == 3, operation, "x", x, "F32 [batch, length, inputs]");
        ShapeException.Require(
            recurrent.Shape.Rank == 2 && recurrent.Shape[0] == TCell.Gates * recurrent.Shape[1] && recurrent.Shape[1] > 0,
            operation, "recurrent weight", recurrent, TCell.Gates == 4 ? "F32 [4 hidden, hidden]" : "F32 [3 hidden, hidden]");
        var stacked = recurrent.Shape[0];
        for (var direction = 0; direction < call.Directions; direction++)
        {
            var weights = call.Weights(direction);
            Require(operation, "recurrent weight", weights.Recurrent, recurrent.Shape);
            Require(operation, "input weight", weights.Input, [stacked, x.Shape.Width]);
            Require(operation, "input bias", weights.InputBias, [stacked]);
            Require(operation, "recurrent bias", weights.RecurrentBias, [stacked]);
        }

        Shape state = call.Directions == 1 ? [call.Batch, call.Units] : [call.Directions, call.Batch, call.Units];
        Require(operation, "initial hidden state", call.InitialHidden, state);
        Require(operation, "initial cell", call.InitialCell, state);
        if (call.Lengths is not { } lengths) return;
        Require(operation, "lengths", lengths, [call.Batch], ElementType.I32);
        for (var row = 0; row < call.Batch; row++)
        {
            if (lengths.Ints[row] < 0 || lengths.Ints[row] > call.Length)
                throw new ArgumentException($"{operation}: lengths[{row}] is {lengths.Ints[row]}, expected 0 to {call.Length}");
        }
    }

    private static void Require(string operation, string argument, Tensor? found, Shape expected, ElementType type = ElementType.F32)
    {
        if (found is not null && (found.Type != type || found.Shape != expected))
            ShapeException.Require(false, operation, argument, found, $"{type} {expected}");
    }

    private sealed class RecurrentEntry<TCell> : TapeEntry where TCell : struct, IRecurrentCell
    {
        public RecurrentCall Call;
        public RecurrentResult Result;
        public Tensor Rows = null!, Records = null!;
        public Tensor? Cells;
        public MatrixProductKind Kind;

        public override bool HasGradient =>
            base.HasGradient || Result.FinalHidden.Slot is { HasValue: true } || Result.FinalCell?.Slot is { HasValue: true };

        public override void Backward()
        {
            var (directions, batch, units) = (Call.Directions, Call.Batch, Call.Units);
            var previousHidden = Tensor.Temporary([directions, batch * Call.Length, units]).Floats;
            var biasGradient = Tensor.Temporary([directions, IRecurrentCell.RecordVectors * units]).Floats;
            var hiddenGradient = GradientOf(Result.FinalHidden);
            var cellGradient = Result.FinalCell is null ? default : GradientOf(Result.FinalCell);
            RunBack(previousHidden, biasGradient, hiddenGradient, cellGradient);

            for (var direction = 0; direction < directions; direction++)
            {
                AddToWeights(
                    Call.Weights(direction), Part(Records.Floats, direction, directions), Part(previousHidden, direction, directions));
                AddToBiases(Call.Weights(direction), Part(biasGradient, direction, directions));
            }

            AddTo(Call.InitialHidden, hiddenGradient);
            AddTo(Call.InitialCell, cellGradient);
        }

        public override void ReturnGradients()
        {
            base.ReturnGradients();
            Result.FinalHidden.Slot?.Return();
            Result.FinalCell?.Slot?.Return();
        }

        private void RunBack(Span<float> previousHidden, Span<float> biasGradient, Span<float> hiddenGradient, Span<float> cellGradient)
        {
            var (directions, units) = (Call.Directions, Call.Units);
            var packed = Tensor.Temporary([directions, TCell.Gates * units, RecurrentProduct.Padded(units)]).Floats;
            for (var direction = 0; direction < directions; direction++)
                RecurrentProduct.Pack(Call.Weights(direction).Recurrent.AsMatrix(), Part(packed, direction, directions));

            var plan = Call.Plan;
            RecurrentBackward.Run<TCell>(plan, new RecurrentBackward.Arrays
            {
                Records = Records.Floats, BiasGradient = biasGradient, PreviousHidden = previousHidden, Weights = packed,
                Outputs = Output.Floats, Cells = Elements(Cells),
                InitialHidden = Elements(Call.InitialHidden), InitialCell = Elements(Call.InitialCell),
                OutputGradient = Output.Gradient, HiddenGradient = hiddenGradient, CellGradient = cellGradient,
                Order = Rows.Ints[..Call.Batch], Ends = Rows.Ints[Call.Batch..],
                Scratch = Tensor.Temporary([RecurrentBackward.ScratchSize<TCell>(plan)]).Floats,
            });
        }

        private void AddToWeights(in RecurrentWeights weights, ReadOnlySpan<float> records, ReadOnlySpan<float> previousHidden)
        {
            var (steps, units) = (Call.Batch * Call.Length, Call.Units);
            if (steps == 0) return;
            var record = IRecurrentCell.RecordVectors * units;
            var inputShares = new Matrix(records, steps, TCell.Gates * units, record);
            if (weights.Input.Slot is { } input)
                MatrixProduct.Multiply(inputShares.T, Call.X.AsMatrix(), input.Write(out var accumulate), accumulate, kind: Kind);
            if (Call.X.Slot is { } x)
                MatrixProduct.Multiply(inputShares, weights.Input.AsMatrix(), x.Write(out var accumulate), accumulate, kind: Kind);
            if (weights.Recurrent.Slot is not { } recurrent) return;

            var hidden = new Matrix(previousHidden, steps, units);
            var gradient = recurrent.Write(out var add);
            var summed = TCell.SummedGates * units;
            MatrixProduct.Multiply(new Matrix(records, steps, summed, record).T, hidden, gradient[..(summed * units)], add, kind: Kind);
            var own = (TCell.Gates * units) - summed;
            if (own == 0) return;
            MatrixProduct.Multiply(
                new Matrix(records[(record - own)..], steps, own, record).T, hidden, gradient[(summed * units)..], add, kind: Kind);
        }

        private void AddToBiases(in RecurrentWeights weights, ReadOnlySpan<float> sums)
        {
            var stacked = TCell.Gates * Call.Units;
            var summed = TCell.SummedGates * Call.Units;
            AddTo(weights.InputBias, sums[..stacked]);
            if (weights.RecurrentBias?.Slot is not { } slot) return;
            var gradient = slot.Add();
            TensorPrimitives.Add(gradient[..summed], sums[..summed], gradient);
            TensorPrimitives.Add(gradient[summed..], sums[(sums.Length - stacked + summed)..], gradient[summed..]);
        }

        private static void AddTo(Tensor? tensor, ReadOnlySpan<float> gradient)
        {
            if (tensor?.Slot is not { } slot) return;
            var sum = slot.Add();
            TensorPrimitives.Add(sum, gradient, sum);
        }

        /// <summary>A copy of what has arrived, zeros where nothing has.</summary>
        private static Span<float> GradientOf(Tensor tensor)
        {
            var copy = Tensor.Temporary(tensor.Shape).Floats;
            if (tensor.Slot is { HasValue: true } slot) slot.Values.CopyTo(copy);
            else copy.Clear();
            return copy;
        }
    }
}
