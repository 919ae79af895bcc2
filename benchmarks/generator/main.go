// Generator loads one address over kept-alive connections of HTTP/1.1 and prints what it met as one JSON object.
//
// It speaks just enough of the protocol to be cheap: what it measures has the processors to itself. Both sides of a
// comparison are loaded by it, over a Unix socket or a port, with or without TLS and a client certificate.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	address     = flag.String("address", "", "unix:PATH or HOST:PORT")
	host        = flag.String("host", "localhost", "the Host header, and the name that the certificate must have")
	path        = flag.String("path", "/", "what is asked for")
	posted      = flag.String("body", "", "JSON that is posted; nothing: a GET")
	connections = flag.Int("connections", 16, "how many connections are kept busy")
	seconds     = flag.Float64("seconds", 3, "how long")
	rate        = flag.Float64("rate", 0, "requests a second over all connections; 0: as many as are answered")
	authority   = flag.String("ca", "", "a PEM file: speak TLS to who is signed by it")
	certificate = flag.String("cert", "", "a PEM file: show this certificate")
	key         = flag.String("key", "", "its key")
	patience    = flag.Duration("patience", 10*time.Second, "of one request; then it has failed")
	anyName     = flag.Bool("any-name", false, "take a certificate of the authority whatever its name")
)

// Met is what one connection saw: how long each answer took, and how often what went wrong.
type met struct {
	took     []time.Duration
	failures map[string]int
}

func main() {
	flag.Parse()
	settings, err := security()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	begun := time.Now()
	ends := begun.Add(time.Duration(*seconds * float64(time.Second)))
	all := make([]met, *connections)
	var group sync.WaitGroup
	for number := range all {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			all[number] = keepBusy(settings, number, begun, ends)
		}(number)
	}
	group.Wait()
	report(all, time.Since(begun))
}

func security() (*tls.Config, error) {
	if *authority == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(*authority)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	name, _, _ := strings.Cut(*host, ":")
	settings := &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"http/1.1"}}
	if *anyName {
		settings.InsecureSkipVerify = true
		settings.VerifyConnection = func(state tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, each := range state.PeerCertificates[1:] {
				between.AddCert(each)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between})
			return err
		}
	}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// KeepBusy asks over one connection until the time is over, and over another one where that broke.
func keepBusy(settings *tls.Config, number int, begun, ends time.Time) met {
	found := met{failures: map[string]int{}}
	request := asked()
	var connection net.Conn
	var reader *bufio.Reader
	turn := newTurn(number, begun)
	for turn.wait(ends) {
		var err error
		if connection == nil {
			if connection, err = dial(settings); err == nil {
				reader = bufio.NewReader(connection)
			}
		}
		if err == nil {
			begin := time.Now()
			connection.SetDeadline(begin.Add(*patience))
			if _, err = connection.Write(request); err == nil {
				err = answer(reader)
			}
			if err == nil {
				found.took = append(found.took, time.Since(begin))
				continue
			}
		}
		found.failures[err.Error()]++
		if _, told := err.(refused); told && *rate > 0 {
			continue // the connection is as good as before, and the next request is due when it is due
		}
		if connection != nil {
			connection.Close()
			connection = nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	if connection != nil {
		connection.Close()
	}
	return found
}

// Asked is the request that is sent over and over.
func asked() []byte {
	head := *path + " HTTP/1.1\r\nhost: " + *host + "\r\naccept: */*\r\n"
	if *posted == "" {
		return []byte("GET " + head + "\r\n")
	}
	head += "content-type: application/json\r\ncontent-length: " + strconv.Itoa(len(*posted)) + "\r\n\r\n"
	return []byte("POST " + head + *posted)
}

// Turn paces one connection: at a rate its requests are due at fixed times, else at once.
type turn struct {
	due   time.Time
	every time.Duration
}

func newTurn(number int, begun time.Time) *turn {
	if *rate == 0 {
		return &turn{due: begun}
	}
	every := time.Duration(float64(*connections) / *rate * float64(time.Second))
	return &turn{begun.Add(every * time.Duration(number) / time.Duration(*connections)), every}
}

func (t *turn) wait(ends time.Time) bool {
	if t.every > 0 {
		time.Sleep(time.Until(t.due))
		t.due = t.due.Add(t.every)
	}
	return time.Now().Before(ends)
}

func dial(settings *tls.Config) (net.Conn, error) {
	network, where := "tcp", *address
	if strings.HasPrefix(where, "unix:") {
		network, where = "unix", strings.TrimPrefix(where, "unix:")
	}
	dialer := net.Dialer{Timeout: *patience}
	if settings == nil {
		return dialer.Dial(network, where)
	}
	connection, err := tls.DialWithDialer(&dialer, network, where, settings)
	if err != nil {
		return nil, err // and no nil *tls.Conn, which as a net.Conn would be something
	}
	return connection, nil
}

// Refused is an answer of 400 or more.
type refused string

func (status refused) Error() string {
	return "answered " + string(status)
}

// Answer reads one response whole; an error where it is none, or tells of one.
func answer(reader *bufio.Reader) error {
	status, err := line(reader)
	if err != nil {
		return err
	}
	length, chunked := 0, false
	for {
		header, err := line(reader)
		if err != nil {
			return err
		}
		if header == "" {
			break
		}
		name, value, _ := strings.Cut(header, ":")
		switch strings.ToLower(name) {
		case "content-length":
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		case "transfer-encoding":
			chunked = true
		}
	}
	if err := body(reader, length, chunked); err != nil {
		return err
	}
	if fields := strings.SplitN(status, " ", 3); len(fields) < 2 || fields[1] >= "400" {
		return refused(status)
	}
	return nil
}

func body(reader *bufio.Reader, length int, chunked bool) error {
	for {
		last := !chunked
		if chunked {
			size, err := line(reader)
			if err != nil {
				return err
			}
			number, err := strconv.ParseInt(size, 16, 32)
			if err != nil {
				return err
			}
			last, length = number == 0, int(number)+2 // and the line's end
		}
		if _, err := io.CopyN(io.Discard, reader, int64(length)); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}

func line(reader *bufio.Reader) (string, error) {
	text, err := reader.ReadString('\n')
	return strings.TrimRight(text, "\r\n"), err
}

func report(all []met, whole time.Duration) {
	took, failures := []time.Duration{}, map[string]int{}
	for _, each := range all {
		took = append(took, each.took...)
		for reason, count := range each.failures {
			failures[reason] += count
		}
	}
	sort.Slice(took, func(one, other int) bool { return took[one] < took[other] })
	at := func(share float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return took[int(share*float64(len(took)-1))].Seconds() * 1000
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"answered": len(took), "seconds": whole.Seconds(), "failures": failures,
		"p50_ms": at(0.5), "p99_ms": at(0.99), "longest_ms": at(1),
	})
}
