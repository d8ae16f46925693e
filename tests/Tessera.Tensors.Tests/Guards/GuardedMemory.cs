using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Tessera.Tensors.Tests.Guards;

/// <summary>
/// Native memory in which each buffer lies between two inaccessible pages, so that a kernel that reads or writes outside of
/// it kills the process. <c>TESSERA_TEST_GUARD=end</c> puts the last byte of each buffer against the page that follows (to the
/// byte: no alignment is left to hide in), <c>start</c> the first byte against the page before. New memory holds NaN, and
/// what lies between a buffer and its further page must still hold it in the end.
/// </summary>
internal static unsafe partial class GuardedMemory
{
    public const string Variable = "TESSERA_TEST_GUARD";

    private const byte Filling = 0xFF; // F32, BF16 and F16: NaN; I32: −1
    private const int ProtectNone = 0, ProtectReadWrite = 3, MapPrivateAnonymous = 0x22;
    private const int KeptForAWhile = 64;

    private static readonly long s_page = Environment.SystemPageSize;
    private static readonly Lock s_lock = new();
    private static readonly Dictionary<nint, Block> s_blocks = [];

    // Checkpoints move a result down after the scope it was made in has ended, so memory goes back to the system a little later.
    private static readonly Queue<Block> s_given = [];
    private static bool s_againstEnd;

    /// <summary>Whether this process was started with guarded memory.</summary>
    public static bool IsOn => NativeBuffer.Source is not null;

    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "The first buffer must not be made before.")]
    internal static void Start()
    {
        var side = Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrEmpty(side)) return;
        s_againstEnd = side switch
        {
            "end" => true,
            "start" => false,
            _ => throw new InvalidOperationException($"{Variable} must be end or start; found '{side}'"),
        };
        NativeBuffer.Source = (Take, Give);
    }

    private static nint Take(long bytes)
    {
        var inner = (bytes + s_page - 1) / s_page * s_page;
        var whole = inner + (2 * s_page);
        var start = Map(0, (nuint)whole, ProtectNone, MapPrivateAnonymous, -1, 0);
        if (start == -1) throw new InvalidOperationException($"no {whole} bytes: error {Marshal.GetLastPInvokeError()}");
        var block = new Block(start, whole, s_againstEnd ? start + (nint)(s_page + inner - bytes) : start + (nint)s_page, bytes);
        if (inner > 0)
        {
            if (Protect(start + (nint)s_page, (nuint)inner, ProtectReadWrite) != 0)
                throw new InvalidOperationException($"mprotect: error {Marshal.GetLastPInvokeError()}");
            new Span<byte>((void*)(start + (nint)s_page), checked((int)inner)).Fill(Filling);
        }

        lock (s_lock) s_blocks.Add(block.Address, block);
        return block.Address;
    }

    private static void Give(nint address)
    {
        lock (s_lock)
        {
            if (!s_blocks.Remove(address, out var block)) Environment.FailFast($"{address:x} is no buffer, or was given back before");
            var first = block.Start + (nint)s_page;
            var end = block.Address + (nint)block.Bytes;
            RequireFilling(block, first, block.Address - first);
            RequireFilling(block, end, block.Start + (nint)(block.Whole - s_page) - end);
            s_given.Enqueue(block);
            if (s_given.Count > KeptForAWhile && s_given.Dequeue() is var old) _ = Unmap(old.Start, (nuint)old.Whole);
        }
    }

    private static void RequireFilling(Block block, nint from, long bytes)
    {
        var changed = new Span<byte>((void*)from, (int)bytes).IndexOfAnyExcept(Filling);
        if (changed >= 0)
            Environment.FailFast($"byte {from + changed - block.Address} of a buffer of {block.Bytes} bytes has been written");
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint bytes, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint bytes, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint bytes);

    private readonly record struct Block(nint Start, long Whole, nint Address, long Bytes);
}
