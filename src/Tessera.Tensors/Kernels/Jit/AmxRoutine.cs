using Iced.Intel;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>A routine with tile instructions, and what runs it: the processor or, in tests on one without tiles, an emulator.</summary>
internal sealed unsafe class AmxRoutine(Action<Assembler> write)
{
    private delegate* unmanaged[SuppressGCTransition]<void*, void> _placed;

    /// <summary>Runs routines instead of the processor, given the code and the argument, on the thread that calls the
    /// routine. Tests set it; null in use.</summary>
    public static Action<byte[], nint>? Emulator { get; set; }

    /// <summary>The machine code.</summary>
    public byte[] Code { get; } = AssembledCode.Bytes(write);

    /// <summary>Runs the routine. The caller makes sure that the processor and the system offer tiles.</summary>
    public void Run(void* argument)
    {
        if (Emulator is { } emulator)
        {
            emulator(Code, (nint)argument);
            return;
        }

        // Two threads may both place it at the first call; either copy is as good.
        if (_placed == null) _placed = AssembledCode.Place(Code);
        _placed(argument);
    }
}
