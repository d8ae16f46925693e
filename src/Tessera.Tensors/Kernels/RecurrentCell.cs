using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// What one kind of recurrent cell computes at one time step of one row, for <c>V.Count</c> hidden units from unit j on.
/// <para>Each step of a row has a record of four vectors of H floats. Before the forward step the first
/// <see cref="Gates"/> of them hold the input's share, <c>W_ih x</c>; after it the record holds what the backward step
/// needs, and after that the gradients with respect to the sums inside the gates.</para>
/// </summary>
internal interface IRecurrentCell
{
    /// <summary>Vectors of a record.</summary>
    const int RecordVectors = 4;

    /// <summary>How many gates the weights stack: 4 or 3.</summary>
    static abstract int Gates { get; }

    /// <summary>How many leading gates sum the shares of the input and of the hidden state at once; the hidden share of the
    /// others, and its gradient, come last in the record.</summary>
    static abstract int SummedGates { get; }

    static abstract void Forward<V>(in RecurrentForwardRow row, int j) where V : struct, ILanes<V>;

    static abstract void Backward<V>(in RecurrentBackwardRow row, int j) where V : struct, ILanes<V>;
}

/// <summary>One row at one step, on the way there. All but the record are vectors of H floats unless said.</summary>
internal unsafe struct RecurrentForwardRow
{
    /// <summary>H, the number of hidden units.</summary>
    public int Units;

    /// <summary>The record, and biases laid out like one.</summary>
    public float* Record, Bias;

    /// <summary><c>W_hh h</c>, <see cref="IRecurrentCell.Gates"/> vectors.</summary>
    public float* Product;

    /// <summary>The state, replaced by the new one.</summary>
    public float* Hidden, Cell;

    /// <summary>Where else the new state goes.</summary>
    public float* HiddenCopy, CellCopy;

    /// <summary>Input's share, hidden state's share and bias of a gate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Sum<V>(int gate, int j) where V : struct, ILanes<V>
    {
        var at = (gate * Units) + j;
        return V.Load(Record + at) + V.Load(Product + at) + V.Load(Bias + at);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Keep<V>(int vector, int j, V value) where V : struct, ILanes<V> => value.Store(Record + (vector * Units) + j);
}

/// <summary>One row at one step, on the way back.</summary>
internal unsafe struct RecurrentBackwardRow
{
    /// <summary>H, the number of hidden units.</summary>
    public int Units;

    /// <summary>The record, and the sum of its gradients over all steps and rows.</summary>
    public float* Record, BiasGradient;

    /// <summary>Gradients of the hidden state's share of each gate, <see cref="IRecurrentCell.Gates"/> vectors.</summary>
    public float* ProductGradient;

    /// <summary>The state before the step, and the cell after it.</summary>
    public float* PreviousHidden, PreviousCell, Cell;

    /// <summary>Gradient that reached the output of this step from outside.</summary>
    public float* OutputGradient;

    /// <summary>Gradients of the state after the step, replaced by those of the state before it (but for what flows
    /// through <see cref="ProductGradient"/>).</summary>
    public float* HiddenGradient, CellGradient;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Kept<V>(int vector, int j) where V : struct, ILanes<V> => V.Load(Record + (vector * Units) + j);

    /// <summary>Sets one vector of the record's gradients.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Put<V>(int vector, int j, V value) where V : struct, ILanes<V>
    {
        var at = (vector * Units) + j;
        value.Store(Record + at);
        (V.Load(BiasGradient + at) + value).Store(BiasGradient + at);
    }

    /// <summary>Sets the gradient of the hidden state's share of a gate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void PutProduct<V>(int gate, int j, V value) where V : struct, ILanes<V> =>
        value.Store(ProductGradient + (gate * Units) + j);
}

/// <summary>
/// Long short-term memory, gates stacked i, f, g, o: <c>c' = σ(f) c + σ(i) tanh(g)</c>, <c>h' = σ(o) tanh(c')</c>.
/// The record keeps the four gates.
/// </summary>
internal readonly unsafe struct LstmCell : IRecurrentCell
{
    public static int Gates => 4;

    public static int SummedGates => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Forward<V>(in RecurrentForwardRow row, int j) where V : struct, ILanes<V>
    {
        var input = Exponential.Sigmoid(row.Sum<V>(0, j));
        var forget = Exponential.Sigmoid(row.Sum<V>(1, j));
        var candidate = Exponential.Tanh(row.Sum<V>(2, j));
        var output = Exponential.Sigmoid(row.Sum<V>(3, j));
        row.Keep(0, j, input);
        row.Keep(1, j, forget);
        row.Keep(2, j, candidate);
        row.Keep(3, j, output);

        var cell = V.MultiplyAdd(forget, V.Load(row.Cell + j), input * candidate);
        cell.Store(row.Cell + j);
        cell.Store(row.CellCopy + j);
        var hidden = output * Exponential.Tanh(cell);
        hidden.Store(row.Hidden + j);
        hidden.Store(row.HiddenCopy + j);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Backward<V>(in RecurrentBackwardRow row, int j) where V : struct, ILanes<V>
    {
        V input = row.Kept<V>(0, j), forget = row.Kept<V>(1, j), candidate = row.Kept<V>(2, j), output = row.Kept<V>(3, j);
        var one = V.All(1);
        var cellTanh = Exponential.Tanh(V.Load(row.Cell + j));
        var hiddenGradient = V.Load(row.OutputGradient + j) + V.Load(row.HiddenGradient + j);
        var cellGradient = V.MultiplyAdd(hiddenGradient * output, one - (cellTanh * cellTanh), V.Load(row.CellGradient + j));

        Put(row, 0, j, cellGradient * candidate * input * (one - input));
        Put(row, 1, j, cellGradient * V.Load(row.PreviousCell + j) * forget * (one - forget));
        Put(row, 2, j, cellGradient * input * (one - (candidate * candidate)));
        Put(row, 3, j, hiddenGradient * cellTanh * output * (one - output));
        (cellGradient * forget).Store(row.CellGradient + j);
        V.Zero.Store(row.HiddenGradient + j);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<V>(in RecurrentBackwardRow row, int gate, int j, V value) where V : struct, ILanes<V>
    {
        row.Put(gate, j, value);
        row.PutProduct(gate, j, value);
    }
}

/// <summary>
/// Gated recurrent unit, gates stacked r, z, n: <c>n = tanh(x_n + σ(r) (W_hn h + b_hn))</c>, <c>h' = (1 − σ(z)) n + σ(z) h</c>.
/// The record keeps r, z, n and <c>W_hn h + b_hn</c>. It has no cell.
/// </summary>
internal readonly unsafe struct GruCell : IRecurrentCell
{
    public static int Gates => 3;

    public static int SummedGates => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Forward<V>(in RecurrentForwardRow row, int j) where V : struct, ILanes<V>
    {
        var units = row.Units;
        var reset = Exponential.Sigmoid(row.Sum<V>(0, j));
        var update = Exponential.Sigmoid(row.Sum<V>(1, j));
        var share = V.Load(row.Product + (2 * units) + j) + V.Load(row.Bias + (3 * units) + j);
        var candidate = Exponential.Tanh(
            V.MultiplyAdd(reset, share, V.Load(row.Record + (2 * units) + j) + V.Load(row.Bias + (2 * units) + j)));
        row.Keep(0, j, reset);
        row.Keep(1, j, update);
        row.Keep(2, j, candidate);
        row.Keep(3, j, share);

        var hidden = V.MultiplyAdd(update, V.Load(row.Hidden + j) - candidate, candidate);
        hidden.Store(row.Hidden + j);
        hidden.Store(row.HiddenCopy + j);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Backward<V>(in RecurrentBackwardRow row, int j) where V : struct, ILanes<V>
    {
        V reset = row.Kept<V>(0, j), update = row.Kept<V>(1, j), candidate = row.Kept<V>(2, j), share = row.Kept<V>(3, j);
        var one = V.All(1);
        var hiddenGradient = V.Load(row.OutputGradient + j) + V.Load(row.HiddenGradient + j);
        var candidateGradient = hiddenGradient * (one - update) * (one - (candidate * candidate));
        var updateGradient = hiddenGradient * (V.Load(row.PreviousHidden + j) - candidate) * update * (one - update);
        var resetGradient = candidateGradient * share * reset * (one - reset);
        var shareGradient = candidateGradient * reset;

        row.Put(0, j, resetGradient);
        row.Put(1, j, updateGradient);
        row.Put(2, j, candidateGradient);
        row.Put(3, j, shareGradient);
        row.PutProduct(0, j, resetGradient);
        row.PutProduct(1, j, updateGradient);
        row.PutProduct(2, j, shareGradient);
        (hiddenGradient * update).Store(row.HiddenGradient + j);
    }
}
