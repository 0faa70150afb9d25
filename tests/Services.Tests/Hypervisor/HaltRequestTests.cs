using Nephos.Hypervisor.Agent;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

public sealed class HaltRequestTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nephos-halt-test").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task An_agent_that_takes_the_request_ends_the_wait_when_it_is_done()
    {
        var asked = HaltRequest.AskAsync(_folder, TimeSpan.FromSeconds(30), TimeProvider.System, default);
        Assert.True(HaltRequest.TryTake(_folder));
        Assert.False(HaltRequest.TryTake(_folder));
        Assert.False(asked.IsCompleted);
        HaltRequest.Finish(_folder);
        Assert.True(await asked);
    }

    [Fact]
    public async Task Without_an_agent_the_request_is_withdrawn()
    {
        Assert.False(await HaltRequest.AskAsync(_folder, TimeSpan.FromSeconds(30), TimeProvider.System, default));
        Assert.False(HaltRequest.TryTake(_folder));
    }

    [Fact]
    public async Task A_request_to_an_earlier_agent_is_not_taken()
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder, "halt"), []);
        HaltRequest.Clear(_folder);
        Assert.False(HaltRequest.TryTake(_folder));
    }
}
