using Nephos.Hosting;
using Xunit;

namespace Nephos.Services.Tests.Hosting;

public sealed class IdleMemoryTests
{
    private readonly IdleMemory _memory;
    private long _allocatedBytes = 1L << 30;
    private int _given;

    public IdleMemoryTests() => _memory = new IdleMemory(TimeProvider.System, () => _allocatedBytes, () => _given++);

    [Fact]
    public void Memory_is_given_back_once_after_a_burst_of_work()
    {
        Assert.Equal(0, After(4 * IdleMemory.BusyBytes));
        Assert.Equal(0, After(IdleMemory.IdleBytes + 1));
        Assert.Equal(1, After(IdleMemory.IdleBytes));
        Assert.Equal(1, After(IdleMemory.IdleBytes));
    }

    [Fact]
    public void A_process_that_never_worked_keeps_what_it_has() => Assert.Equal(0, After(IdleMemory.IdleBytes));

    [Fact]
    public void Many_idle_intervals_add_up_to_one_collection()
    {
        var intervals = IdleMemory.BusyBytes / IdleMemory.IdleBytes;
        for (var i = 1; i < intervals; i++)
        {
            Assert.Equal(0, After(IdleMemory.IdleBytes));
        }
        Assert.Equal(1, After(IdleMemory.IdleBytes));
    }

    private int After(long bytes)
    {
        _allocatedBytes += bytes;
        _memory.Look();
        return _given;
    }
}
