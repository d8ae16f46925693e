namespace Tessera.Tensors;

/// <summary>In which numbers products are computed.</summary>
public enum Precision
{
    /// <summary>IEEE binary32 throughout.</summary>
    F32,

    /// <summary>Factors rounded to bfloat16, sums in F32.</summary>
    BF16,

    /// <summary>Factors rounded to IEEE binary16, sums in F32. Gradients below 6e-8 vanish and those above 65,504 become
    /// infinite, which is what a loss scale is for.</summary>
    F16,
}

/// <summary>
/// Mixed precision: within a scope, the operations that multiply matrices (linear, grouped linear, attention, and recurrent
/// layers outside their time loop) round their factors to fewer bits on the way in, where the processor gains from it; their
/// results, all other operations, parameters and gradients stay F32. The scope is the calling thread's. Gradients are
/// computed in the precision their operation was.
/// <para>What a scope has packed of a parameter is used again until the scope ends, so enter one for each optimizer step,
/// around its forward and backward passes, and change no parameter within it.</para>
/// <para>Micikevicius et al. 2017, <see href="https://arxiv.org/abs/1710.03740"/>; the scope is PyTorch's
/// <c>torch.autocast</c>.</para>
/// </summary>
public static class Autocast
{
    private static readonly HashSet<long> s_open = [];

    private static long s_lastPass;

    [ThreadStatic] private static Precision s_precision;

    [ThreadStatic] private static long s_pass;

    // The innermost scope, and the last one entered: a scope that ends is the innermost, once.
    [ThreadStatic] private static long s_scope;

    [ThreadStatic] private static long s_lastScope;

    /// <summary>The precision of the calling thread's scope; <see cref="Precision.F32"/> outside any.</summary>
    public static Precision Current => s_precision;

    /// <summary>The number of the outermost scope, no two the same; 0 outside any.</summary>
    internal static long Pass => s_pass;

    /// <summary>Enters a scope; dispose it, on the same thread, to go back to what was before.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such precision.</exception>
    public static Scope Enter(Precision precision)
    {
        if (precision is not (Precision.F32 or Precision.BF16 or Precision.F16))
            throw new ArgumentOutOfRangeException(nameof(precision), precision, "must be F32, BF16 or F16");
        var scope = new Scope(s_precision, s_pass, s_scope);
        s_precision = precision;
        if (s_pass != 0) return scope;
        lock (s_open) s_open.Add(s_pass = ++s_lastPass);
        return scope;
    }

    /// <summary>Whether an outermost scope has not ended yet, on whatever thread it is.</summary>
    internal static bool IsOpen(long pass)
    {
        lock (s_open) return s_open.Contains(pass);
    }

    /// <summary>A span of a thread's work in one precision; see <see cref="Enter"/>.</summary>
    public readonly ref struct Scope
    {
        private readonly Precision _precision;
        private readonly long _pass, _outer, _number;

        internal Scope(Precision precision, long pass, long outer)
        {
            (_precision, _pass, _outer, _number) = (precision, pass, outer, ++s_lastScope);
            s_scope = _number;
        }

        /// <summary>Goes back to the precision of the scope around this one.</summary>
        /// <exception cref="InvalidOperationException">The scope has ended before, or one within it has not.</exception>
        public void Dispose()
        {
            if (s_scope != _number) throw new InvalidOperationException("scopes of Autocast end once each, the innermost first");
            s_scope = _outer;
            if (_pass == 0 && s_pass != 0) lock (s_open) s_open.Remove(s_pass);
            (s_precision, s_pass) = (_precision, _pass);
        }
    }
}
