using System.Text;
using System.Text.Json;
using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Metadata;
using Nephos.Testing.Hypervisor;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

public sealed class MetadataTreeTests
{
    private readonly InstanceSpec _spec = Specs.Running(ports: 2);
    private readonly MetadataTree _tree = new();

    public MetadataTreeTests() => _tree.Set(_spec.Id, _spec);

    [Fact]
    public void The_openstack_document_names_the_instance_and_its_keys()
    {
        var document = JsonDocument.Parse(Get("/openstack/latest/meta_data.json").Body).RootElement;
        Assert.Equal(_spec.Id.ToString(), document.GetProperty("uuid").GetString());
        Assert.Equal("web.example", document.GetProperty("hostname").GetString());
        Assert.Equal("web", document.GetProperty("meta").GetProperty("role").GetString());
        Assert.Equal("ssh-ed25519 AAAA me@home", document.GetProperty("public_keys").GetProperty("mine").GetString());
        Assert.Equal("ssh", document.GetProperty("keys")[0].GetProperty("type").GetString());
        Assert.Equal("/content/0000", document.GetProperty("files")[0].GetProperty("content_path").GetString());
        Assert.Equal(512, Convert.FromBase64String(document.GetProperty("random_seed").GetString()!).Length);
        Assert.False(document.TryGetProperty("admin_pass", out _));
    }

    [Fact]
    public void Network_data_links_every_address_to_its_card()
    {
        var document = JsonDocument.Parse(Get("/openstack/2018-08-27/network_data.json").Body).RootElement;
        Assert.Equal(2, document.GetProperty("links").GetArrayLength());
        var link = document.GetProperty("links")[0];
        Assert.Equal(_spec.Ports[0].MacAddress, link.GetProperty("ethernet_mac_address").GetString());
        Assert.Equal(1450, link.GetProperty("mtu").GetInt32());
        var network = document.GetProperty("networks")[0];
        Assert.Equal("ipv4_dhcp", network.GetProperty("type").GetString());
        Assert.Equal(link.GetProperty("id").GetString(), network.GetProperty("link").GetString());
        Assert.Equal("9.9.9.9", Assert.Single(document.GetProperty("services").EnumerateArray()).GetProperty("address").GetString());
    }

    [Fact]
    public void Without_dhcp_the_addresses_and_routes_are_told()
    {
        var port = _spec.Ports[0];
        _tree.Set(_spec.Id, _spec with { Ports = [port with { FixedIps = [port.FixedIps[0] with { Dhcp = false }] }] });
        var network = JsonDocument.Parse(Get("/openstack/latest/network_data.json").Body).RootElement.GetProperty("networks")[0];
        Assert.Equal("ipv4", network.GetProperty("type").GetString());
        Assert.Equal("10.0.1.10", network.GetProperty("ip_address").GetString());
        Assert.Equal("255.255.255.0", network.GetProperty("netmask").GetString());
        Assert.Equal(
            ["0.0.0.0/0.0.0.0 10.0.1.1", "192.168.0.0/255.255.0.0 10.0.1.254"],
            network.GetProperty("routes").EnumerateArray().Select(route =>
                $"{route.GetProperty("network")}/{route.GetProperty("netmask")} {route.GetProperty("gateway")}"));
    }

    [Theory]
    [InlineData("/openstack", "latest")]
    [InlineData("/", "2009-04-04")]
    [InlineData("/openstack/latest/", "user_data")]
    [InlineData("/latest", "meta-data")]
    [InlineData("/latest/meta-data/", "public-keys/")]
    [InlineData("/latest/meta-data/placement/", "availability-zone")]
    [InlineData("/2009-04-04/meta-data/public-keys/", "0=mine")]
    [InlineData("/latest/meta-data/public-keys/0/", "openssh-key")]
    public void Folders_are_listed(string path, string name) => Assert.Contains(name, Text(path).Split('\n'));

    [Theory]
    [InlineData("/latest/meta-data/local-ipv4", "10.0.1.10")]
    [InlineData("/latest/meta-data/hostname", "web.example")]
    [InlineData("/latest/meta-data/instance-type", "m1.tiny")]
    [InlineData("/latest/meta-data/placement/availability-zone", "nova")]
    [InlineData("/2009-04-04/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA me@home")]
    [InlineData("/latest/user-data", "#!/bin/sh\necho hi\n")]
    [InlineData("/openstack/latest/user_data", "#!/bin/sh\necho hi\n")]
    [InlineData("/openstack/content/0000", "hello")]
    public void Leaves_are_answered(string path, string expected) => Assert.Equal(expected, Text(path));

    [Theory]
    [InlineData("/openstack/1999-01-01/meta_data.json")]
    [InlineData("/openstack/latest/password")]
    [InlineData("/latest/meta-data/nothing")]
    [InlineData("/openstack/latest/../../etc/passwd")]
    [InlineData("/openstack/content/0001")]
    [InlineData("/secret")]
    public void Anything_else_is_not_found(string path) => Assert.Equal(404, Get(path).Status);

    [Fact]
    public void A_port_that_is_nobodys_gets_nothing()
    {
        Assert.Equal(404, _tree.Get(Specs.Id(77), "/openstack/latest/meta_data.json").Status);
        _tree.Set(_spec.Id, null);
        Assert.Equal(404, Get("/openstack/latest/meta_data.json").Status);
    }

    [Fact]
    public void A_port_that_moved_away_no_longer_answers_for_the_instance()
    {
        _tree.Set(_spec.Id, _spec with { Ports = [_spec.Ports[1]] });
        Assert.Equal(404, Get("/").Status);
        Assert.Equal(200, _tree.Get(_spec.Ports[1].Id, "/").Status);
    }

    private MetadataReply Get(string path) => _tree.Get(_spec.Ports[0].Id, path);

    private string Text(string path)
    {
        var reply = Get(path);
        Assert.Equal(200, reply.Status);
        return Encoding.UTF8.GetString(reply.Body.Span);
    }
}
