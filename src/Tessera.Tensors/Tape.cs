namespace Tessera.Tensors;

/// <summary>
/// What operations were done on tensors that need gradients, in order, so that the gradients can be computed on the way
/// back. Operations write to the tape that the calling thread is recording, if any.
/// <code>
/// using var tape = Tape.Record();
/// var loss = model.Loss(batch);
/// tape.Backward(loss);
/// </code>
/// </summary>
public sealed class Tape : IDisposable
{
    [ThreadStatic] private static Tape? s_current;
    [ThreadStatic] private static Stack<Tape>? s_free;

    private readonly List<TapeEntry> _entries = [];
    private Tape? _outer;
    private bool _paused;

    private Tape() { }

    /// <summary>Whether operations on this thread are being recorded.</summary>
    public static bool IsRecording => s_current is { _paused: false };

    /// <summary>Starts recording on this thread until the tape is disposed.</summary>
    public static Tape Record() => Open(paused: false);

    /// <summary>Stops recording on this thread until the result is disposed, as for evaluation.</summary>
    public static Tape Pause() => Open(paused: true);

    /// <summary>
    /// Computes the gradient of <paramref name="loss"/> with respect to every tensor that wants one, adding to gradients
    /// that parameters already have. The tape is empty afterwards, also where this throws.
    /// </summary>
    /// <param name="loss">A scalar made while this tape was recording.</param>
    /// <param name="scale">The gradient of the final objective with respect to <paramref name="loss"/>: 1, or a share
    /// of it when gradients are accumulated over several batches.</param>
    /// <exception cref="ShapeException">The loss is not a scalar.</exception>
    /// <exception cref="ObjectDisposedException">The loss was made in a scope of the <see cref="Arena"/> that has ended.</exception>
    public void Backward(Tensor loss, float scale = 1)
    {
        ShapeException.Require(loss.Shape.Count == 1, "backward", "loss", loss, "a scalar");
        Backward(loss, [scale]);
    }

    /// <summary>As <see cref="Backward(Tensor, float)"/>, from any tensor and the gradient with respect to it.</summary>
    /// <exception cref="ShapeException">There are not as many gradients as elements.</exception>
    public void Backward(Tensor output, ReadOnlySpan<float> gradient)
    {
        ShapeException.Require(output.Shape.Count == gradient.Length, "backward", "output", output, $"{gradient.Length} elements");
        if (output.RequiresGradient) output.Slot!.Add(gradient);
        _paused = true; // gradients of gradients are not recorded
        try
        {
            for (var i = _entries.Count - 1; i >= 0; i--)
            {
                var entry = _entries[i];
                if (!entry.HasGradient) continue;
                entry.Backward();
                entry.ReturnGradients();
            }
        }
        finally
        {
            _paused = false;
            Clear();
        }
    }

    /// <summary>Stops recording and forgets what was recorded. Tapes that were opened later and not disposed end as well.</summary>
    public void Dispose()
    {
        var tape = s_current;
        while (tape is not null && tape != this) tape = tape._outer;
        if (tape is null) return; // disposed before
        do
        {
            tape = s_current!;
            tape.Clear();
            (s_current, tape._outer) = (tape._outer, null);
            (s_free ??= new Stack<Tape>()).Push(tape);
        }
        while (tape != this);
    }

    /// <summary>
    /// Called by an operation with its result and its inputs: null where nothing is recorded or no input needs a
    /// gradient; else the entry to fill in, and the result now wants a gradient.
    /// </summary>
    internal static T? Write<T>(Tensor output, params ReadOnlySpan<Tensor?> inputs) where T : TapeEntry, new()
    {
        if (s_current is not { } tape) return null;
        var wanted = false;
        foreach (var input in inputs) wanted |= input is { Slot: not null };
        return wanted && !tape._paused ? WriteAlways<T>(output) : null;
    }

    /// <summary>Whether a tape is being recorded that wants a gradient of one of these.</summary>
    internal static bool Wants(params ReadOnlySpan<Tensor?> inputs)
    {
        if (s_current is null or { _paused: true }) return false;
        foreach (var input in inputs)
            if (input is { Slot: not null }) return true;
        return false;
    }

    /// <summary>As <see cref="Write"/>, for an operation that is known to lead to something that wants a gradient.</summary>
    internal static T WriteAlways<T>(Tensor output) where T : TapeEntry, new()
    {
        var entry = Arena.Current.Entry<T>();
        entry.Output = output.WithGradient();
        s_current!._entries.Add(entry);
        return entry;
    }

    private static Tape Open(bool paused)
    {
        var tape = s_free is not null && s_free.TryPop(out var free) ? free : new Tape();
        (tape._outer, tape._paused) = (s_current, paused);
        s_current = tape;
        return tape;
    }

    private void Clear()
    {
        foreach (var entry in _entries) Arena.Current.Recycle(entry);
        _entries.Clear();
    }
}

/// <summary>One operation on the tape: what its gradient needs, and how to compute it.</summary>
internal abstract class TapeEntry
{
    /// <summary>The operation's result.</summary>
    public Tensor Output { get; set; } = null!;

    /// <summary>Which of the arena's pools the entry came from.</summary>
    public int PoolIndex { get; init; }

    /// <summary>Whether a gradient has reached a result of this operation.</summary>
    public virtual bool HasGradient => Output.Slot is { HasValue: true };

    /// <summary>The gradient of the result.</summary>
    protected ReadOnlySpan<float> OutputGradient => Output.Slot!.Values;

    /// <summary>Adds what this operation contributes to the gradients of its inputs that want one.</summary>
    public abstract void Backward();

    /// <summary>Hands back the memory of the gradients that <see cref="Backward"/> has used up.</summary>
    public virtual void ReturnGradients() => Output.Slot?.Return();
}
