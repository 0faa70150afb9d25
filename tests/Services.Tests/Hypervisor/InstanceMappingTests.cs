using Google.Protobuf;
using Nephos.Hypervisor.Instances;
using Nephos.Kernel.Errors;
using Xunit;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Services.Tests.Hypervisor;

public sealed class InstanceMappingTests
{
    [Fact]
    public void A_good_spec_is_parsed()
    {
        var spec = Good().ToSpec();
        Assert.Equal(DesiredState.Running, spec.Desired);
        Assert.Equal("fa:16:3e:00:00:01", spec.Ports[0].MacAddress);
        Assert.Equal(1500, spec.Ports[0].Mtu);
        Assert.Equal(DiskBus.Virtio, spec.Hints.DiskBus);
        Assert.True(spec.Hints.Rng);
    }

    [Fact]
    public void Ports_are_in_the_order_that_was_asked_for()
    {
        var wire = Good();
        wire.Ports[0].Order = 1;
        wire.Ports.Add(new Wire.PortSpec(wire.Ports[0]) { PortId = Guid.NewGuid().ToString(), Order = 0 });
        Assert.Equal(wire.Ports[1].PortId, wire.ToSpec().Ports[0].Id.ToString());
    }

    public static TheoryData<string, Action<Wire.InstanceSpec>> Bad => new()
    {
        { "instance_id", spec => spec.InstanceId = "../../etc" },
        { "desired_state", spec => spec.DesiredState = Wire.DesiredState.Unspecified },
        { "epoch", spec => spec.Epoch = -1 },
        { "vcpus", spec => spec.Vcpus = 0 },
        { "memory_mib", spec => spec.MemoryMib = long.MaxValue },
        { "ports.mac_address", spec => spec.Ports[0].MacAddress = "fa:16:3e:00:00:01,script=/bin/sh" },
        { "ports.mtu", spec => spec.Ports[0].Mtu = 1 },
        { "fixed_ips.ip_address", spec => spec.Ports[0].FixedIps[0].IpAddress = "10.0.0.300" },
        { "fixed_ips.cidr", spec => spec.Ports[0].FixedIps[0].Cidr = "10.0.0.0/33" },
        { "fixed_ips.gateway_ip", spec => spec.Ports[0].FixedIps[0].GatewayIp = "gateway" },
        { "volumes.attachment_id", spec => spec.Volumes[0].AttachmentId = "x" },
        { "volumes.token", spec => spec.Volumes[0].Token = new string('t', 5000) },
        { "hints.disk_bus", spec => spec.Hints = new Wire.MachineHints { DiskBus = "virtio,addr=0x1" } },
        { "hints.vif_model", spec => spec.Hints = new Wire.MachineHints { VifModel = "rtl8139" } },
        { "ports and volumes", spec => spec.Volumes.Add(spec.Volumes[0]) },
        { "ports and volumes", spec => spec.Volumes.AddRange(Enumerable.Range(0, 30).Select(_ => new Wire.VolumeSpec(spec.Volumes[0]) { AttachmentId = Guid.NewGuid().ToString() })) },
        { "user_data", spec => spec.Metadata = new Wire.InstanceMetadata { UserData = ByteString.CopyFrom(new byte[70_000]) } },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public void What_breaks_a_rule_is_refused_by_name(string field, Action<Wire.InstanceSpec> spoil)
    {
        var wire = Good();
        spoil(wire);
        Assert.Contains(field, Assert.Throws<FaultException>(wire.ToSpec).Message, StringComparison.Ordinal);
    }

    private static Wire.InstanceSpec Good() => new()
    {
        InstanceId = Guid.NewGuid().ToString(),
        Name = "web",
        DesiredState = Wire.DesiredState.Running,
        Vcpus = 1,
        MemoryMib = 128,
        Ports =
        {
            new Wire.PortSpec
            {
                PortId = Guid.NewGuid().ToString(), NetworkId = Guid.NewGuid().ToString(), MacAddress = "FA:16:3E:00:00:01",
                FixedIps = { new Wire.FixedIp { SubnetId = Guid.NewGuid().ToString(), IpAddress = "10.0.0.5", Cidr = "10.0.0.0/24" } },
            },
        },
        Volumes = { new Wire.VolumeSpec { AttachmentId = Guid.NewGuid().ToString(), VolumeId = Guid.NewGuid().ToString(), Token = "t" } },
    };
}
