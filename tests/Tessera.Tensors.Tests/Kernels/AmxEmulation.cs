using System.Collections.Concurrent;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>Tests that put an emulator in the place of the processor, or use its tiles; they run by themselves.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AmxCollection
{
    public const string Name = "AMX";
}

/// <summary>While it lasts, each thread that runs a routine with tile instructions has an emulated processor of its own.</summary>
internal sealed class AmxEmulation : IDisposable
{
    private readonly ConcurrentDictionary<int, AmxEmulator> _threads = [];

    public AmxEmulation(EmulatedMemory memory) =>
        AmxRoutine.Emulator = (code, argument) =>
        {
            memory.Argument = argument;
            _threads.GetOrAdd(Environment.CurrentManagedThreadId, _ => new AmxEmulator(memory)).Run(code, argument);
        };

    public IEnumerable<AmxEmulatedTiles> Threads => _threads.Values.Select(thread => thread.Tiles);

    public void Dispose() => AmxRoutine.Emulator = null;
}
