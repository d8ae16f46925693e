using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Keeps a file that is cut short while it is mapped from ending the process. Linux answers an access beyond the new end with SIGBUS; here
/// its handler is assembled code that finds the mapping, puts zeros there and notes that the file was cut, so that whoever computes can
/// throw an error afterwards. Faults elsewhere go on to the handler of .NET. Linux on x86-64; under Windows a mapped file cannot be cut.
/// </summary>
internal static unsafe partial class MappedFileGuard
{
    /// <summary>How many mappings can be watched at once.</summary>
    public const int Room = 512;

    private const int BusSignal = 7, HasInformation = 4, OnSignalStack = 0x0800_0000;
    private const int MapCall = 9, ReadOnly = 1, PrivateFixedAnonymous = 0x32;
    private const int AddressInSignal = 16; // of siginfo_t: si_addr

    private static readonly Lock s_lock = new();
    private static readonly Lazy<bool> s_installed = new(Install);
    private static Entry* s_entries;

    /// <summary>Whether mappings can be watched on this machine.</summary>
    public static bool IsAvailable => s_installed.Value;

    /// <summary>Begins to watch a mapping; the number of its entry, or −1 where there is no room.</summary>
    public static int Watch(nint address, long bytes)
    {
        if (!IsAvailable) return -1;
        lock (s_lock)
        {
            for (var index = 0; index < Room; index++)
            {
                if (s_entries[index].Start != 0) continue;
                var page = Environment.SystemPageSize;
                s_entries[index].End = address + (nint)((bytes + page - 1) / page * page);
                s_entries[index].IsCut = 0;
                Volatile.Write(ref s_entries[index].Start, address); // last: the handler looks at it first
                return index;
            }

            return -1;
        }
    }

    /// <summary>Ceases to watch; before the memory is unmapped.</summary>
    public static void Forget(int entry) => Volatile.Write(ref s_entries[entry].Start, 0);

    /// <summary>Whether something beyond the end of a mapped file was touched.</summary>
    public static bool IsCut(int entry) => Volatile.Read(ref s_entries[entry].IsCut) != 0;

    private static bool Install()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return false;
        try
        {
            Action action;
            if (Exchange(BusSignal, null, &action) != 0 || action.Handler is 0 or 1) return false;
            s_entries = (Entry*)NativeMemory.AllocZeroed(Room, (nuint)sizeof(Entry)); // for the life of the process, as the handler
            var (entries, former) = ((long)s_entries, action.Handler);
            action.Handler = ExecutablePages.Place(AssembledCode.Bytes(assembler => Write(assembler, entries, former)));
            action.Flags |= HasInformation | OnSignalStack;
            return Exchange(BusSignal, &action, null) == 0;
        }
        catch (Exception refusal) when (refusal is InvalidOperationException or DllNotFoundException or EntryPointNotFoundException)
        {
            return false;
        }
    }

    /// <summary>void handler(edi: signal, rsi: information, rdx: context).</summary>
    private static void Write(Assembler a, long entries, long former)
    {
        var (look, next, others) = (a.CreateLabel(), a.CreateLabel(), a.CreateLabel());
        a.mov(rax, __qword_ptr[rsi + AddressInSignal]);
        a.mov(rcx, entries);
        a.mov(r8d, Room);
        a.Label(ref look);
        a.mov(r9, __qword_ptr[rcx]);
        a.test(r9, r9);
        a.jz(next);
        a.cmp(rax, r9);
        a.jb(next);
        a.mov(r10, __qword_ptr[rcx + sizeof(long)]);
        a.cmp(rax, r10);
        a.jae(next);
        a.mov(__qword_ptr[rcx + (2 * sizeof(long))], 1);

        // Zeros from the page that was touched to the end of the mapping.
        a.push(rdi);
        a.push(rsi);
        a.push(rdx);
        a.mov(rdi, rax);
        a.and(rdi, -Environment.SystemPageSize);
        a.mov(rsi, r10);
        a.sub(rsi, rdi);
        a.mov(edx, ReadOnly);
        a.mov(r10d, PrivateFixedAnonymous);
        a.mov(r8, -1L);
        a.xor(r9d, r9d);
        a.mov(eax, MapCall);
        a.syscall();
        a.pop(rdx);
        a.pop(rsi);
        a.pop(rdi);
        a.test(rax, rax);
        a.js(others); // no memory
        a.ret();

        a.Label(ref next);
        a.add(rcx, sizeof(Entry));
        a.dec(r8d);
        a.jnz(look);
        a.Label(ref others);
        a.mov(rax, former);
        a.jmp(rax);
    }

    [LibraryImport("libc", EntryPoint = "sigaction")]
    private static partial int Exchange(int signal, Action* wanted, Action* current);

    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        public nint Start, End;

        public long IsCut;
    }

    /// <summary>Linux's <c>struct sigaction</c> of the C library for x86-64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Action
    {
        public nint Handler;

        public fixed ulong Mask[16];

        public int Flags;

        public nint Restorer;
    }
}
