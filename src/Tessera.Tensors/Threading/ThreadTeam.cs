using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Tessera.Tensors.Threading;

/// <summary>Work that can be done in parts, in any order and on any thread; parts must not write to the same place.</summary>
internal interface IParallelWork
{
    void Run(int part);
}

/// <summary>
/// The threads that do the parts of a kernel. The caller works too. The others look for the next job, which usually follows within
/// microseconds, first without pause, then between turns of whoever else wants the processor, and sleep soon after: about when waiting
/// has cost as much as waking would. Starting a job allocates nothing.
/// </summary>
internal sealed unsafe class ThreadTeam
{
    /// <summary>How often a waiting thread looks before it offers its processor to others; some 40 ns each.</summary>
    private const int LooksAlone = 3000;

    /// <summary>How long it goes on after that.</summary>
    private static readonly long s_patience = Stopwatch.Frequency / 5_000;

    /// <summary>A turn of others that takes longer shows that they need the processor.</summary>
    private static readonly long s_longTurn = Stopwatch.Frequency / 50_000;

    [ThreadStatic] private static bool s_working;

    private readonly SemaphoreSlim _wake = new(0);
    private readonly Lock _oneJobAtATime = new();
    private Job _job;

    internal ThreadTeam(int threads)
    {
        Threads = threads;
        for (var i = 1; i < threads; i++)
            new Thread(Work) { IsBackground = true, Name = $"tessera-{i}" }.Start();
    }

    /// <summary>The team of this process: <c>TESSERA_THREADS</c> threads, or one a processor.</summary>
    public static ThreadTeam Shared { get; } = new(Wanted(Environment.GetEnvironmentVariable("TESSERA_THREADS")));

    /// <summary>How many threads work, the caller included.</summary>
    public int Threads { get; }

    /// <summary>How many jobs the threads have shared since the start.</summary>
    public long Passes => Volatile.Read(ref _job.Ticket) >>> 33;

    /// <summary>How many threads sleep.</summary>
    internal int Sleeping => Volatile.Read(ref _job.Sleeping);

    /// <summary>Runs parts 0 to <paramref name="parts"/> − 1 of <paramref name="work"/> and returns when all are done; an
    /// exception in one of them is thrown again here.</summary>
    public void Run<TWork>(ref TWork work, int parts) where TWork : struct, IParallelWork, allows ref struct
    {
        if (KernelProfile.IsOn && !s_working && KernelProfile.TryEnter(out var start))
        {
            try
            {
                Run(ref work, parts);
            }
            finally
            {
                KernelProfile.Leave(typeof(TWork), start);
            }

            return;
        }

        // Inside a part, or while another thread's job has the team, the caller does its own work alone.
        if (parts <= 1 || Threads == 1 || s_working || !_oneJobAtATime.TryEnter())
        {
            for (var part = 0; part < parts; part++) work.Run(part);
            return;
        }

        try
        {
            Start(Unsafe.AsPointer(ref work), &RunPart<TWork>, parts);
        }
        finally
        {
            _oneJobAtATime.Exit();
        }
    }

    private static void RunPart<TWork>(void* work, int part) where TWork : struct, IParallelWork, allows ref struct =>
        Unsafe.AsRef<TWork>(work).Run(part);

    internal static int Wanted(string? text)
    {
        if (string.IsNullOrEmpty(text)) return Environment.ProcessorCount;
        return int.TryParse(text, out var threads) && threads is >= 1 and <= 1024
            ? threads
            : throw new InvalidOperationException($"TESSERA_THREADS must be a number from 1 to 1024, found '{text}'");
    }

    private void Start(void* work, delegate*<void*, int, void> run, int parts)
    {
        // Closed first: with the old ticket and the new number of parts a late thread would take a part that is not there.
        var job = (_job.Ticket >> 32) + 1;
        Interlocked.Exchange(ref _job.Ticket, (job << 32) | int.MaxValue);
        _job.Work = work;
        _job.Run = run;
        (_job.Parts, _job.Failure) = (parts, null);
        Volatile.Write(ref _job.Done, 0);
        Interlocked.Exchange(ref _job.Ticket, (job + 1) << 32); // a full fence: it is out before the sleepers are counted
        var sleeping = Volatile.Read(ref _job.Sleeping);
        if (sleeping > 0) _wake.Release(Math.Min(sleeping, parts - 1));

        s_working = true;
        while (TryTakePart()) { }
        s_working = false;

        for (var looks = 0; Volatile.Read(ref _job.Done) < parts; looks++)
        {
            if (looks < LooksAlone) Thread.SpinWait(1);
            else Thread.Yield(); // whoever has the last part may need this processor
        }

        if (_job.Failure is { } failure) ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>Takes and does one part; false where none is left. A part is taken only by whoever moves the ticket on,
    /// which can succeed only while its job is still the current one.</summary>
    private bool TryTakePart()
    {
        var ticket = Volatile.Read(ref _job.Ticket);
        var work = _job.Work;
        var run = _job.Run;
        var parts = Volatile.Read(ref _job.Parts);
        var part = (int)(uint)ticket;
        if (part >= parts) return false;
        if (Interlocked.CompareExchange(ref _job.Ticket, ticket + 1, ticket) != ticket) return true;
        try
        {
            run(work, part);
        }
        catch (Exception failure)
        {
            _job.Failure = failure;
        }

        Interlocked.Increment(ref _job.Done);
        return true;
    }

    private void Work()
    {
        s_working = true;
        while (true)
        {
            while (TryTakePart()) { }
            if (!Await()) Sleep();
        }
    }

    /// <summary>Waits for parts; false where it is time to sleep.</summary>
    private bool Await()
    {
        for (var looks = 0; looks < LooksAlone; looks++)
        {
            if (HasParts) return true;
            Thread.SpinWait(1);
        }

        var start = Stopwatch.GetTimestamp();
        for (var now = start; now - start < s_patience;)
        {
            if (HasParts) return true;
            Thread.Yield();
            var before = now;
            now = Stopwatch.GetTimestamp();
            if (now - before > s_longTurn) return HasParts;
        }

        return false;
    }

    private bool HasParts => (int)(uint)Volatile.Read(ref _job.Ticket) < Volatile.Read(ref _job.Parts);

    private void Sleep()
    {
        var seen = Volatile.Read(ref _job.Ticket);
        Interlocked.Increment(ref _job.Sleeping);
        // A job that was published before the sleeper was counted would not wake it.
        if (Volatile.Read(ref _job.Ticket) == seen && (int)(uint)seen >= Volatile.Read(ref _job.Parts)) _wake.Wait();
        Interlocked.Decrement(ref _job.Sleeping);
    }

    /// <summary>The current job. What it is, is written before the ticket is published and stays until all parts are done. What is written
    /// while others wait lies in lines of the cache of its own, two each since they are fetched in pairs.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 5 * Lines)]
    private struct Job
    {
        private const int Lines = 128;

        [FieldOffset(Lines)] public Exception? Failure;
        [FieldOffset(Lines + 8)] public void* Work;
        [FieldOffset(Lines + 16)] public delegate*<void*, int, void> Run;
        [FieldOffset(Lines + 24)] public int Parts;
        [FieldOffset(Lines + 28)] public int Sleeping;

        /// <summary>High half: the job's number. Low half: the next part to be taken.</summary>
        [FieldOffset(2 * Lines)] public long Ticket;

        [FieldOffset(3 * Lines)] public int Done;
    }
}
